//! What one statement wants.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ColumnDef, ConstrType, Constraint, CreateStmt, DropBehavior,
    NullTestType, ObjectType, RangeVar, UpdateStmt,
};
use segue_model::change::{Beside, Change, NewColumn};
use segue_model::expr::Expr;
use segue_model::ident::{Ident, TableRef};
use segue_model::sql::{TypeName, Written};

use super::{Postgres, column, constraint, expr, index, name, naming, new_column, object, partition, rows, syntax};
use crate::grammar::{Found, Wanted, if_missing, not_yet};
use crate::problem::Fault;
use crate::token::{Kind, Token, find_at_top, head, segments, span};
use crate::update;

/// Returns what the statement wants.
pub(super) fn read(text: &str, tokens: &[Token]) -> Result<Vec<Found>, Fault> {
    let statement = Statement { text, tokens };
    let node = syntax::parse(text, tokens)?;
    let readers = [
        column::statement,
        constraint::statement,
        index::statement,
        partition::statement,
        naming::statement,
        rows::statement,
        object::statement,
    ];
    for read in readers {
        if let Some(found) = read(&statement, &node)? {
            return Ok(found);
        }
    }
    match node {
        NodeEnum::CreateStmt(create) => Ok(vec![statement.create_table(&create)]),
        NodeEnum::AlterTableStmt(alter) => statement.alter_table(&alter),
        NodeEnum::UpdateStmt(update) => Ok(vec![statement.update(&update)?]),
        NodeEnum::TransactionStmt(_) => {
            Ok(vec![statement.not_yet(format!("{} (Segue manages transactions itself)", head(text, tokens)), None)])
        }
        NodeEnum::RenameStmt(rename) => {
            Ok(vec![statement.not_yet(rename_words(text, tokens), table(rename.relation.as_ref()))])
        }
        NodeEnum::InsertStmt(insert) => Ok(vec![statement.other(table(insert.relation.as_ref()))]),
        NodeEnum::DeleteStmt(delete) => Ok(vec![statement.other(table(delete.relation.as_ref()))]),
        NodeEnum::CreateTableAsStmt(_) => Ok(vec![statement.not_yet(format!("{} AS", head(text, tokens)), None)]),
        _ => Ok(vec![statement.other(None)]),
    }
}

fn table(relation: Option<&RangeVar>) -> Option<TableRef> {
    relation.and_then(name::table)
}

fn rename_words(text: &str, tokens: &[Token]) -> String {
    let rename = find_at_top(tokens, |token| token.is(text, "RENAME")).unwrap_or(0);
    head(text, &tokens[rename..])
}

/// A statement with its words.
pub(super) struct Statement<'t> {
    pub(super) text: &'t str,
    pub(super) tokens: &'t [Token],
}

impl Statement<'_> {
    pub(super) fn not_yet(&self, what: impl Into<String>, table: Option<TableRef>) -> Found {
        not_yet(0, what, table)
    }

    /// Returns a statement that is known by its first words only.
    pub(super) fn other(&self, table: Option<TableRef>) -> Found {
        self.not_yet(head(self.text, self.tokens), table)
    }

    fn create_table(&self, create: &CreateStmt) -> Found {
        let Some(relation) = &create.relation else { return self.other(None) };
        let Some(table) = name::table(relation) else { return self.not_yet("a table of another database", None) };
        let what = if relation.relpersistence == "t" {
            "CREATE TEMPORARY TABLE".to_owned()
        } else if create.if_not_exists {
            if_missing("CREATE TABLE")
        } else if create.partbound.is_some() {
            "CREATE TABLE … PARTITION OF".to_owned()
        } else {
            let columns = columns(create).filter(|_| create.inh_relations.is_empty());
            return Found { at: 0, what: Wanted::Table { table, columns, beside: bound_to(create, relation) } };
        };
        self.not_yet(what, Some(table))
    }

    fn alter_table(&self, alter: &AlterTableStmt) -> Result<Vec<Found>, Fault> {
        let Some(relation) = &alter.relation else { return Ok(vec![self.other(None)]) };
        let Some(table) = name::table(relation) else {
            return Ok(vec![self.not_yet("a table of another database", None)]);
        };
        if alter.objtype() != ObjectType::ObjectTable {
            return Ok(vec![self.other(Some(table))]);
        }
        if alter.missing_ok || !relation.inh {
            let word = if alter.missing_ok { "IF EXISTS" } else { "ONLY" };
            return Ok(vec![self.not_yet(format!("ALTER TABLE {word}"), Some(table))]);
        }
        let commands = self.after_table(relation);
        let segments = segments(commands);
        let mut found = Vec::with_capacity(alter.cmds.len());
        for (at, node) in alter.cmds.iter().enumerate() {
            let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { continue };
            let tokens = segments.get(at).copied().unwrap_or_default();
            found.push(Command { text: self.text, tokens, table: &table }.read(command)?);
        }
        Ok(found)
    }

    /// Returns the tokens after the table's name.
    pub(super) fn after_table(&self, relation: &RangeVar) -> &[Token] {
        let start = usize::try_from(relation.location).unwrap_or(0);
        let at = self.tokens.partition_point(|token| token.start < start);
        let mut rest = self.tokens.get(at + 1..).unwrap_or_default();
        while let [dot, _, after @ ..] = rest
            && dot.kind == Kind::Dot
        {
            rest = after;
        }
        match rest {
            [star, after @ ..] if star.text(self.text) == "*" => after,
            _ => rest,
        }
    }

    fn update(&self, update: &UpdateStmt) -> Result<Found, Fault> {
        let Some(relation) = &update.relation else { return Ok(self.other(None)) };
        let Some(table) = name::table(relation) else {
            return Ok(self.not_yet("a table of another database", None));
        };
        let condition = update.where_clause.as_ref().and_then(|node| node.node.as_ref());
        let only_absent = condition.map(|node| absent_column(node, &relation.relname));
        let what = if update.with_clause.is_some() {
            "WITH … UPDATE (a data step)"
        } else if !relation.inh {
            "UPDATE ONLY"
        } else if relation.alias.is_some() {
            "UPDATE with an alias for the table"
        } else if !update.from_clause.is_empty() {
            "UPDATE … FROM (a data step)"
        } else if update.returning_clause.is_some() {
            "UPDATE … RETURNING"
        } else if only_absent == Some(None) {
            "UPDATE … WHERE (a data step)"
        } else {
            return update::read(&Postgres, self.text, self.tokens, table, only_absent.flatten());
        };
        Ok(self.not_yet(what, Some(table)))
    }
}

/// Returns `c` of `c IS NULL`.
fn absent_column(condition: &NodeEnum, table: &str) -> Option<Ident> {
    let NodeEnum::NullTest(test) = condition else { return None };
    if test.nulltesttype() != NullTestType::IsNull {
        return None;
    }
    let Some(NodeEnum::ColumnRef(column)) = &test.arg.as_ref()?.node else { return None };
    match name::strings(&column.fields)?.as_slice() {
        [column] => Ident::new(*column).ok(),
        [of, column] if *of == table => Ident::new(*column).ok(),
        _ => None,
    }
}

/// Returns the columns of a new table; `None` where it takes them from a type or another table too.
fn columns(create: &CreateStmt) -> Option<Vec<Ident>> {
    if create.of_typename.is_some() {
        return None;
    }
    let own = create.table_elts.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::ColumnDef(column)) => Some(Ident::new(column.colname.as_str()).ok()),
        Some(NodeEnum::TableLikeClause(_)) => Some(None),
        _ => None,
    });
    own.collect()
}

/// Returns the tables to which a new one is bound: those that its foreign keys point to, and its parents.
fn bound_to(create: &CreateStmt, relation: &RangeVar) -> Vec<Beside> {
    let parents = create.inh_relations.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::RangeVar(parent)) => Some(Beside { table: name::table(parent)?, fact: "tab.create_inherits" }),
        _ => None,
    });
    let referenced = foreign_tables(create, relation).into_iter();
    let referenced = referenced.map(|table| Beside { table, fact: "tab.create_with_fk" });
    parents.chain(referenced).collect()
}

/// Returns the other tables that foreign keys of the new one point to.
fn foreign_tables(create: &CreateStmt, relation: &RangeVar) -> Vec<TableRef> {
    let of_columns = create.table_elts.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::ColumnDef(column)) => Some(column.constraints.as_slice()),
        _ => None,
    });
    let constraints = of_columns.flatten().chain(&create.table_elts).chain(&create.constraints);
    constraints
        .filter_map(|node| match &node.node {
            Some(NodeEnum::Constraint(constraint)) => constraint.pktable.as_ref(),
            _ => None,
        })
        .filter(|other| (&other.schemaname, &other.relname) != (&relation.schemaname, &relation.relname))
        .filter_map(name::table)
        .collect()
}

/// One command of an ALTER TABLE with the tokens between its commas.
pub(super) struct Command<'t> {
    pub(super) text: &'t str,
    pub(super) tokens: &'t [Token],
    pub(super) table: &'t TableRef,
}

impl Command<'_> {
    fn read(&self, command: &AlterTableCmd) -> Result<Found, Fault> {
        let readers = [
            column::command,
            constraint::command,
            index::command,
            partition::command,
            naming::command,
            object::command,
        ];
        for read in readers {
            if let Some(change) = read(self, command)? {
                return Ok(self.found(change));
            }
        }
        let definition = command.def.as_ref().and_then(|node| node.node.as_ref());
        let table = self.table.clone();
        let change = match (command.subtype(), definition) {
            (AlterTableType::AtAddColumn, _) if command.missing_ok => self.not_yet(&if_missing("ADD COLUMN")),
            (AlterTableType::AtAddColumn, Some(NodeEnum::ColumnDef(column))) => return self.add_column(column),
            (AlterTableType::AtDropColumn, _) if command.missing_ok => self.not_yet("DROP COLUMN IF EXISTS"),
            (AlterTableType::AtDropColumn, _) if command.behavior() == DropBehavior::DropCascade => {
                self.not_yet("DROP COLUMN … CASCADE")
            }
            (AlterTableType::AtDropColumn, _) => Change::DropColumn { table, column: name::ident(&command.name)? },
            (AlterTableType::AtSetNotNull, _) => Change::SetNotNull { table, column: name::ident(&command.name)? },
            (AlterTableType::AtAlterColumnType, Some(NodeEnum::ColumnDef(column))) => {
                self.alter_type(&command.name, column)?
            }
            _ => self.not_yet(&self.words()),
        };
        Ok(self.found(change))
    }

    fn found(&self, change: Change) -> Found {
        Found { at: span(self.tokens).0, what: Wanted::Change(change) }
    }

    /// Returns the command as written.
    pub(super) fn written(&self) -> Written {
        let (start, end) = span(self.tokens);
        Written::parsed(&self.text[start..end])
    }

    fn not_yet(&self, what: &str) -> Change {
        Change::NotYet { what: what.to_owned(), table: Some(self.table.clone()) }
    }

    /// Returns the words of the command: `ALTER COLUMN … SET DEFAULT`, `ADD CONSTRAINT`.
    fn words(&self) -> String {
        let is_alter = self.tokens.first().is_some_and(|token| token.is(self.text, "ALTER"));
        let has_word = self.tokens.get(1).is_some_and(|token| token.is(self.text, "COLUMN"));
        let is_constraint = self.tokens.get(1).is_some_and(|token| token.is(self.text, "CONSTRAINT"));
        if is_alter && !is_constraint {
            let action = self.tokens.get(if has_word { 3 } else { 2 }..).unwrap_or_default();
            return format!("ALTER COLUMN … {}", head(self.text, action));
        }
        head(self.text, self.tokens)
    }

    fn add_column(&self, column: &ColumnDef) -> Result<Found, Fault> {
        let Some(spelled) = column.type_name.as_ref().and_then(name::spelled_type) else {
            return Ok(self.found(self.not_yet("ADD COLUMN with such a type")));
        };
        let mut new = NewColumn {
            name: name::ident(&column.colname)?,
            others: vec![],
            not_null: false,
            default: None,
            details: Some(new_column::details(self, column, &spelled)?),
            type_name: TypeName::spelled(spelled.as_str()),
        };
        let clauses = [
            (is_serial(&spelled), "SERIAL"),
            (!column.storage_name.is_empty(), "STORAGE"),
            (!column.compression.is_empty(), "COMPRESSION"),
            (column.coll_clause.is_some(), "COLLATE"),
            (!column.fdwoptions.is_empty(), "OPTIONS"),
        ];
        new.others.extend(clauses.iter().filter(|(present, _)| *present).map(|(_, word)| (*word).to_owned()));
        for constraint in new_column::constraints(column) {
            match constraint.contype() {
                ConstrType::ConstrNull => {}
                ConstrType::ConstrDefault => new.default = self.default(column, constraint)?,
                ConstrType::ConstrNotnull => {
                    new.not_null = true;
                    // A name of its own would be lost where the NOT NULL is set in steps.
                    if !constraint.conname.is_empty() {
                        new.others.push("CONSTRAINT".to_owned());
                    }
                }
                other => new.others.push(constraint_word(other).to_owned()),
            }
        }
        Ok(self.found(Change::AddColumn { table: self.table.clone(), column: new }))
    }

    fn default(&self, column: &ColumnDef, constraint: &Constraint) -> Result<Option<Expr>, Fault> {
        let Some(value) = constraint.raw_expr.as_ref().and_then(|node| node.node.as_ref()) else { return Ok(None) };
        let source = self.default_span(column, constraint);
        expr::of_node(value, self.text, source, self.table).map(Some)
    }

    /// Returns the bytes between DEFAULT and the next clause.
    fn default_span(&self, column: &ColumnDef, constraint: &Constraint) -> (usize, usize) {
        let begin = usize::try_from(constraint.location).unwrap_or(0);
        let others = new_column::constraints(column).map(|other| other.location);
        let collate = column.coll_clause.iter().map(|clause| clause.location);
        let next = others.chain(collate).filter_map(|at| usize::try_from(at).ok()).filter(|at| *at > begin).min();
        let after: Vec<Token> = self
            .tokens
            .iter()
            .filter(|token| token.start >= begin && next.is_none_or(|next| token.start < next))
            .copied()
            .collect();
        let keyword = find_at_top(&after, |token| token.is(self.text, "DEFAULT")).map_or(0, |at| at + 1);
        span(&after[keyword..])
    }

    fn alter_type(&self, column: &str, to: &ColumnDef) -> Result<Change, Fault> {
        let Some(spelled) = to.type_name.as_ref().and_then(name::spelled_type) else {
            return Ok(self.not_yet("ALTER COLUMN … TYPE with such a type"));
        };
        if to.coll_clause.is_some() {
            return Ok(self.not_yet("ALTER COLUMN … TYPE … COLLATE"));
        }
        let using = match to.raw_default.as_ref().and_then(|node| node.node.as_ref()) {
            None => None,
            Some(value) => {
                let keyword = find_at_top(self.tokens, |token| token.is(self.text, "USING")).map_or(0, |at| at + 1);
                Some(expr::of_node(value, self.text, span(&self.tokens[keyword..]), self.table)?)
            }
        };
        Ok(Change::AlterType {
            table: self.table.clone(),
            column: name::ident(column)?,
            to: TypeName::spelled(spelled),
            using,
        })
    }
}

pub(super) fn is_serial(spelled: &str) -> bool {
    ["serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"].contains(&spelled)
}

fn constraint_word(of: ConstrType) -> &'static str {
    match of {
        ConstrType::ConstrIdentity => "GENERATED AS IDENTITY",
        ConstrType::ConstrGenerated => "GENERATED",
        ConstrType::ConstrCheck => "CHECK",
        ConstrType::ConstrPrimary => "PRIMARY KEY",
        ConstrType::ConstrUnique => "UNIQUE",
        ConstrType::ConstrExclusion => "EXCLUDE",
        ConstrType::ConstrForeign => "REFERENCES",
        ConstrType::ConstrAttrDeferrable | ConstrType::ConstrAttrNotDeferrable => "DEFERRABLE",
        ConstrType::ConstrAttrDeferred | ConstrType::ConstrAttrImmediate => "INITIALLY",
        ConstrType::ConstrAttrEnforced | ConstrType::ConstrAttrNotEnforced => "ENFORCED",
        ConstrType::Undefined | ConstrType::ConstrNull | ConstrType::ConstrNotnull | ConstrType::ConstrDefault => {
            "CONSTRAINT"
        }
    }
}
