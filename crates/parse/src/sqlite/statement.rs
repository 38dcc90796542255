//! What one statement wants.

use segue_model::change::{
    Change, ColumnChange, ColumnProperty, ConstraintAction, ConstraintChange, NamingChange, NewColumn,
};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};
use segue_model::sql::TypeName;
use sqlite3_parser::ast::{
    AlterTableBody, ColumnConstraint, ColumnDefinition, CreateTableBody, Expr as Node, QualifiedName, SortedColumn,
    Stmt, Type, TypeSize,
};

use super::{Sqlite, alter, expr, name, object, syntax};
use crate::grammar::{Found, Mention, Wanted, if_missing, not_yet};
use crate::problem::{Fault, ProblemKind};
use crate::token::{Kind, Token, closing, find_at_top, head, listed, span};
use crate::update;

/// Returns what the statement wants.
pub(super) fn read(text: &str, tokens: &[Token]) -> Result<Vec<Found>, Fault> {
    let statement = Statement { text, tokens };
    let found = syntax::with(text, tokens, |node| statement.read(node));
    if let Some(Err(Fault { kind: ProblemKind::Syntax { .. }, .. })) = &found
        && let Some(alter) = alter::read(text, tokens)
    {
        return Ok(vec![alter?]);
    }
    let opaque = || Found { at: 0, what: Wanted::Change(Change::Opaque { what: head(text, tokens) }) };
    Ok(vec![found.transpose()?.unwrap_or_else(opaque)])
}

struct Statement<'t> {
    text: &'t str,
    tokens: &'t [Token],
}

impl Statement<'_> {
    fn read(&self, node: &Stmt<'_>) -> Result<Found, Fault> {
        match node {
            Stmt::AlterTable(table, body) => self.alter_table(&name::table(table)?, body),
            Stmt::CreateTable { temporary, if_not_exists, tbl_name, body } => {
                let table = name::table(tbl_name)?;
                Ok(match body {
                    _ if *temporary => self.not_yet("CREATE TEMPORARY TABLE", Some(table)),
                    _ if *if_not_exists => self.not_yet(if_missing("CREATE TABLE"), Some(table)),
                    CreateTableBody::AsSelect(_) => self.not_yet("CREATE TABLE AS", Some(table)),
                    CreateTableBody::ColumnsAndConstraints { columns, .. } => {
                        let columns = columns.iter().map(|column| name::of_node(&column.col_name).ok()).collect();
                        Found { at: 0, what: Wanted::Table { table, columns, beside: vec![] } }
                    }
                })
            }
            Stmt::CreateIndex { idx_name, tbl_name, if_not_exists, columns, .. } => {
                let schema = idx_name.db_name.as_ref().map(name::of_node).transpose()?;
                let table = TableRef { schema, name: name::of_node(tbl_name)? };
                if *if_not_exists {
                    return Ok(self.not_yet(if_missing("CREATE INDEX"), Some(table)));
                }
                let index = Some(name::of_node(&idx_name.name)?);
                let columns = mentions(columns, listed(self.text, self.tokens, "ON"));
                Ok(Found { at: 0, what: Wanted::Index { change: Change::CreateIndex { index, table }, columns } })
            }
            Stmt::Update { .. } => self.update(node),
            Stmt::Begin(..) | Stmt::Commit(_) | Stmt::Rollback { .. } | Stmt::Savepoint(_) | Stmt::Release(_) => {
                Ok(self.not_yet(format!("{} (Segue manages transactions itself)", self.words()), None))
            }
            Stmt::Insert { tbl_name, .. } | Stmt::Delete { tbl_name, .. } => {
                Ok(self.not_yet(self.words(), Some(name::table(tbl_name)?)))
            }
            _ => Ok(match object::read(node)? {
                Some(change) => Found { at: 0, what: Wanted::Change(change) },
                None => self.not_yet(self.words(), None),
            }),
        }
    }

    fn words(&self) -> String {
        head(self.text, self.tokens)
    }

    fn not_yet(&self, what: impl Into<String>, table: Option<TableRef>) -> Found {
        not_yet(0, what, table)
    }

    fn alter_table(&self, table: &TableRef, body: &AlterTableBody<'_>) -> Result<Found, Fault> {
        let command = alter::after_table(self.tokens);
        let not_yet = |what: &str| Change::NotYet { what: what.to_owned(), table: Some(table.clone()) };
        let change = match body {
            AlterTableBody::AddColumn(column) => {
                Change::AddColumn { table: table.clone(), column: self.new_column(table, column, command)? }
            }
            AlterTableBody::DropColumn(column) => {
                Change::DropColumn { table: table.clone(), column: name::of_node(column)? }
            }
            AlterTableBody::SetColumnNotNull(column, None) => {
                Change::SetNotNull { table: table.clone(), column: name::of_node(column)? }
            }
            AlterTableBody::SetColumnNotNull(_, Some(_)) => not_yet("ALTER COLUMN … SET NOT NULL ON CONFLICT"),
            AlterTableBody::DropColumnNotNull(column) => Change::Column(ColumnChange {
                table: table.clone(),
                column: name::of_node(column)?,
                what: ColumnProperty::DropNotNull,
                command: alter::written(self.text, command),
            }),
            AlterTableBody::RenameTo(to) => {
                Change::Naming(NamingChange::Table { table: table.clone(), to: name::of_node(to)? })
            }
            AlterTableBody::RenameColumn { old, new } => Change::Naming(NamingChange::Column {
                table: table.clone(),
                column: name::of_node(old)?,
                to: name::of_node(new)?,
            }),
            AlterTableBody::AddConstraint(_) => match alter::add_constraint(self.text, command, table)? {
                Some(change) => change,
                None => not_yet("ADD CONSTRAINT"),
            },
            AlterTableBody::DropConstraint(name) => Change::Constraint(ConstraintChange {
                table: table.clone(),
                what: ConstraintAction::Drop { name: name::of_node(name)?, if_exists: false, cascade: false },
                command: alter::written(self.text, command),
            }),
        };
        Ok(Found { at: span(command).0, what: Wanted::Change(change) })
    }

    fn new_column(
        &self,
        table: &TableRef,
        column: &ColumnDefinition<'_>,
        command: &[Token],
    ) -> Result<NewColumn, Fault> {
        let declared = column.col_type.as_ref().map(declared_type).unwrap_or_default();
        let mut new = NewColumn {
            name: name::of_node(&column.col_name)?,
            type_name: TypeName::spelled(declared),
            not_null: false,
            default: None,
            others: vec![],
            details: None,
        };
        for named in column.constraints {
            let word = match &named.constraint {
                ColumnConstraint::NotNull { nullable: true, .. } => continue,
                ColumnConstraint::NotNull { nullable: false, conflict_clause } => {
                    new.not_null = true;
                    if conflict_clause.is_none() && named.name.is_none() {
                        continue;
                    }
                    if conflict_clause.is_some() { "ON CONFLICT" } else { "CONSTRAINT" }
                }
                ColumnConstraint::Default(value) => {
                    new.default = Some(self.default(value, table, command)?);
                    continue;
                }
                ColumnConstraint::PrimaryKey { .. } => "PRIMARY KEY",
                ColumnConstraint::Unique(_) => "UNIQUE",
                ColumnConstraint::Check(_) => "CHECK",
                ColumnConstraint::Defer(_) => "DEFERRABLE",
                ColumnConstraint::Collate { .. } => "COLLATE",
                ColumnConstraint::ForeignKey { .. } => "REFERENCES",
                ColumnConstraint::Generated { typ: Some(stored), .. } if stored.0.eq_ignore_ascii_case("STORED") => {
                    "STORED"
                }
                ColumnConstraint::Generated { .. } => "GENERATED",
            };
            new.others.push(word.to_owned());
        }
        Ok(new)
    }

    fn default(&self, value: &Node<'_>, table: &TableRef, command: &[Token]) -> Result<Expr, Fault> {
        let source = self.default_span(command);
        // A bare word is a string here, whatever columns there are.
        match value {
            Node::Id(word) if !expr::is_truth(word.0) => Ok(expr::of_word(&name::unquoted(word.0), word.0)),
            _ => expr::of_node(value, self.text, source, table),
        }
    }

    /// Returns the bytes of the value after DEFAULT: a term, a signed term, or whatever stands in parentheses.
    fn default_span(&self, command: &[Token]) -> (usize, usize) {
        let keyword = find_at_top(command, |token| token.is(self.text, "DEFAULT")).map_or(0, |at| at + 1);
        let value = &command[keyword..];
        let length = match value.first() {
            Some(first) if first.kind == Kind::Open => closing(value, 0).map_or(value.len(), |close| close + 1),
            Some(first) if matches!(first.text(self.text), "+" | "-") => 2,
            _ => 1,
        };
        span(&value[..length.min(value.len())])
    }

    fn update(&self, node: &Stmt<'_>) -> Result<Found, Fault> {
        let Stmt::Update {
            with, or_conflict, tbl_name, indexed, from, where_clause, returning, order_by, limit, ..
        } = node
        else {
            return Ok(self.not_yet(self.words(), None));
        };
        let table = name::table(tbl_name)?;
        let only_absent = where_clause.as_ref().map(|condition| absent_column(condition, tbl_name)).transpose()?;
        let what = if with.is_some() {
            "WITH … UPDATE (a data step)"
        } else if or_conflict.is_some() {
            "UPDATE OR …"
        } else if tbl_name.alias.is_some() {
            "UPDATE with an alias for the table"
        } else if indexed.is_some() {
            "UPDATE … INDEXED BY"
        } else if from.is_some() {
            "UPDATE … FROM (a data step)"
        } else if returning.is_some() {
            "UPDATE … RETURNING"
        } else if order_by.is_some() || limit.is_some() {
            "UPDATE … LIMIT (a data step)"
        } else if only_absent == Some(None) {
            "UPDATE … WHERE (a data step)"
        } else {
            return update::read(&Sqlite, self.text, self.tokens, table, only_absent.flatten());
        };
        Ok(self.not_yet(what, Some(table)))
    }
}

/// Returns the plain columns among those of an index; `listed` are the tokens of each.
fn mentions(columns: &[SortedColumn<'_>], listed: Vec<&[Token]>) -> Vec<Mention> {
    let of_column = |(column, tokens): (&SortedColumn<'_>, &[Token])| {
        let column = match &column.expr {
            Node::Id(column) => name::ident(column.0),
            Node::Name(column) => name::of_node(column),
            _ => return None,
        };
        let span = tokens.first().map(|token| (token.start, token.end))?;
        Some(Mention { column: column.ok()?, span })
    };
    columns.iter().zip(listed).filter_map(of_column).collect()
}

/// Returns `c` of `c IS NULL` or `c ISNULL`.
fn absent_column(condition: &Node<'_>, table: &QualifiedName<'_>) -> Result<Option<Ident>, Fault> {
    use sqlite3_parser::ast::{Literal, Operator};
    let operand = match condition {
        Node::IsNull(operand) => operand,
        Node::Binary(operand, Operator::Is, Node::Literal(Literal::Null)) => operand,
        Node::Parenthesized(inner) if inner.len() == 1 => return absent_column(&inner[0], table),
        _ => return Ok(None),
    };
    Ok(match operand {
        Node::Id(column) => Some(name::ident(column.0)?),
        Node::Name(column) => Some(name::of_node(column)?),
        Node::Qualified(of, column) if *of == table.name => Some(name::of_node(column)?),
        _ => None,
    })
}

/// Returns the type as declared.
pub(super) fn declared_type(of: &Type<'_>) -> String {
    let number = |node: &Node<'_>| node.to_string().replace(' ', "");
    match &of.size {
        None => of.name.to_owned(),
        Some(TypeSize::MaxSize(size)) => format!("{}({})", of.name, number(size)),
        Some(TypeSize::TypeSize(size, scale)) => format!("{}({},{})", of.name, number(size), number(scale)),
    }
}
