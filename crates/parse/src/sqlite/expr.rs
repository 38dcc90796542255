//! A user's expression, written anew with a parenthesis around each operation, and cut at its columns.

use segue_model::expr::{Expr, NameKind, NameUse, Nullness, Part};
use segue_model::ident::TableRef;
use sqlite3_parser::ast::{
    Expr as Node, Id, LikeOperator, Literal, OneSelect, Operator, ResultColumn, Select, SelectBody, Stmt, Type,
    UnaryOperator,
};

use super::{function, lex, name, syntax};
use crate::nullness::{Meaning, one};
use crate::problem::Fault;
use crate::token::Token;

const SELECT: &str = "SELECT ";

/// SQLite itself refuses deeper ones than 1,000.
const DEPTH_MAX: usize = 500;

/// Returns the expression that is the whole text.
pub(super) fn read(text: &str, table: &TableRef) -> Result<Expr, Fault> {
    let back = |fault: Fault| Fault {
        span: (fault.span.0.saturating_sub(SELECT.len()), fault.span.1.saturating_sub(SELECT.len())),
        ..fault
    };
    let query = format!("{SELECT}{text}");
    let tokens: Result<Vec<Token>, Fault> = lex::Lexer::new(&query).collect();
    let tokens = tokens.map_err(back)?;
    if tokens.iter().any(|token| token.kind == crate::token::Kind::Semicolon) {
        return Err(Fault::syntax((0, text.len()), "this is not one expression"));
    }
    let read = syntax::with(&query, &tokens, |statement| match only_value(statement) {
        Some(value) => Ok(of_node(value, &query, (SELECT.len(), query.len()), table)),
        None => Err(Fault::syntax((0, query.len()), "this is not one expression")),
    });
    read.unwrap_or_else(|| Err(Fault::syntax((0, query.len()), "this cannot be read")))
        .and_then(|expr| expr)
        .map_err(back)
}

/// Returns `x` of `SELECT x`, if there is nothing else.
fn only_value<'n, 'b>(statement: &'n Stmt<'b>) -> Option<&'n Node<'b>> {
    let Stmt::Select(Select { with: None, body: SelectBody { select, compounds: None }, order_by: None, limit: None }) =
        statement
    else {
        return None;
    };
    match select {
        OneSelect::Select {
            distinctness: None,
            columns: [ResultColumn::Expr(value, None)],
            from: None,
            where_clause: None,
            group_by: None,
            having: None,
            window_clause: None,
        } => Some(value),
        _ => None,
    }
}

/// Returns a parsed expression whose source is these bytes of the text.
pub(super) fn of_node(value: &Node<'_>, text: &str, source: (usize, usize), table: &TableRef) -> Result<Expr, Fault> {
    let mut writer = Writer { table, parts: Vec::new(), uses: Vec::new(), depth: 0 };
    let meaning = writer.node(value).map_err(|what| Fault::expression(source, what))?;
    Ok(Expr {
        source: text[source.0..source.1].to_owned(),
        parts: writer.parts,
        nullness: meaning.nullness,
        uses: writer.uses,
        can_raise: meaning.can_raise,
        constant: meaning.constant,
    })
}

/// Returns a bare word as the string that it is after DEFAULT.
pub(super) fn of_word(word: &str, source: &str) -> Expr {
    Expr {
        source: source.to_owned(),
        parts: vec![Part::Text(format!("'{}'", word.replace('\'', "''")))],
        nullness: Nullness::Never,
        uses: vec![],
        can_raise: false,
        constant: true,
    }
}

/// Returns whether an unquoted word is `TRUE` or `FALSE`, which are no keywords in SQLite.
pub(super) fn is_truth(word: &str) -> bool {
    word.eq_ignore_ascii_case("true") || word.eq_ignore_ascii_case("false")
}

/// What is known of a piece that was written; the error says what cannot be.
type Written = Result<Meaning, String>;

struct Writer<'t> {
    table: &'t TableRef,
    parts: Vec<Part>,
    uses: Vec<NameUse>,
    depth: usize,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    fn using(&mut self, kind: NameKind, name: &str) {
        let used = NameUse { kind, schema: None, name: name.to_ascii_lowercase() };
        if !self.uses.contains(&used) {
            self.uses.push(used);
        }
    }

    fn node(&mut self, node: &Node<'_>) -> Written {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err("an expression nested this deeply".to_owned());
        }
        let written = self.any_node(node);
        self.depth -= 1;
        written
    }

    fn any_node(&mut self, node: &Node<'_>) -> Written {
        match node {
            Node::Literal(literal) => self.literal(literal),
            Node::Id(Id(word)) if is_truth(word) => {
                self.text(&word.to_ascii_uppercase());
                Ok(Meaning::literal())
            }
            Node::Id(Id(column)) => self.column(column),
            Node::Name(column) => self.column(column.0),
            Node::Qualified(table, column) => self.qualified(None, table.0, column.0),
            Node::DoublyQualified(schema, table, column) => self.qualified(Some(schema.0), table.0, column.0),
            Node::Parenthesized(inner) => match inner.as_slice() {
                [inner] => self.node(inner),
                _ => Err("a row".to_owned()),
            },
            Node::Binary(left, operator, right) => self.binary(left, *operator, right),
            Node::Unary(operator, operand) => self.unary(*operator, operand),
            Node::Between { lhs, not, start, end } => {
                let word = if *not { " NOT BETWEEN " } else { " BETWEEN " };
                Ok(Meaning::strict(&self.sequence(&["(", word, " AND ", ")"], &[lhs, start, end])?))
            }
            Node::IsNull(operand) => self.null_test(operand, " IS NULL)"),
            Node::NotNull(operand) => self.null_test(operand, " IS NOT NULL)"),
            Node::InList { lhs, not, rhs } => self.in_list(lhs, *not, rhs.unwrap_or_default()),
            Node::Like { lhs, not, op, rhs, escape } => self.like(lhs, *not, *op, rhs, *escape),
            Node::Case { base, when_then_pairs, else_expr } => self.case(*base, when_then_pairs, *else_expr),
            Node::Cast { expr, type_name } => self.cast(expr, type_name.as_ref()),
            Node::Collate(operand, collation) => {
                let collation = name::ident(collation).map_err(|_| "an empty name")?;
                self.using(NameKind::Collation, collation.as_str());
                let close = format!(" COLLATE \"{}\")", collation.as_str().replace('"', "\"\""));
                Ok(Meaning::strict(&self.sequence(&["(", &close], &[operand])?))
            }
            Node::FunctionCall { name, distinctness: None, args, order_by: None, filter_over: None } => {
                self.call(name.0, args.unwrap_or_default())
            }
            Node::FunctionCall { name, .. } | Node::FunctionCallStar { name, .. } => {
                Err(format!("`{}`, a function of many rows,", name.0))
            }
            Node::Exists(_) | Node::Subquery(_) | Node::InSelect { .. } | Node::InTable { .. } => {
                Err("a subquery".to_owned())
            }
            Node::Raise(..) => Err("RAISE".to_owned()),
            Node::Variable(_) => Err("a parameter".to_owned()),
        }
    }

    /// Writes operands between texts: one text more than operands.
    fn sequence(&mut self, texts: &[&str], operands: &[&Node<'_>]) -> Result<Vec<Meaning>, String> {
        let mut known = Vec::with_capacity(operands.len());
        for (at, text) in texts.iter().enumerate() {
            self.text(text);
            if let Some(operand) = operands.get(at) {
                known.push(self.node(operand)?);
            }
        }
        Ok(known)
    }

    fn literal(&mut self, literal: &Literal<'_>) -> Written {
        let mut meaning = Meaning::literal();
        match literal {
            // Digit separators are newer than most libraries.
            Literal::Numeric(number) => self.text(&number.replace('_', "")),
            Literal::String(quoted) => self.text(quoted),
            Literal::Blob(digits) => self.text(&format!("X'{digits}'")),
            Literal::Null => {
                self.text("NULL");
                meaning = meaning.with(Nullness::Always);
            }
            Literal::CurrentDate => self.text("CURRENT_DATE"),
            Literal::CurrentTime => self.text("CURRENT_TIME"),
            Literal::CurrentTimestamp => self.text("CURRENT_TIMESTAMP"),
            Literal::Keyword(word) => return Err(format!("`{word}`")),
        }
        let changes = matches!(literal, Literal::CurrentDate | Literal::CurrentTime | Literal::CurrentTimestamp);
        Ok(Meaning { constant: !changes, ..meaning })
    }

    fn column(&mut self, written: &str) -> Written {
        let column = name::ident(written).map_err(|_| "an empty name")?;
        self.parts.push(Part::Column(column.clone()));
        Ok(Meaning { nullness: Nullness::Column(column), can_raise: false, constant: false })
    }

    fn qualified(&mut self, schema: Option<&str>, table: &str, column: &str) -> Written {
        let own_schema = self.table.schema.as_ref().map_or("main", |schema| schema.as_str());
        let same = |written: &str, own: &str| name::unquoted(written).eq_ignore_ascii_case(own);
        if same(table, self.table.name.as_str()) && schema.is_none_or(|schema| same(schema, own_schema)) {
            return self.column(column);
        }
        let (table, column) = (name::unquoted(table), name::unquoted(column));
        Err(format!("`{table}.{column}`, which is no column of `{}`,", self.table))
    }

    fn binary(&mut self, left: &Node<'_>, operator: Operator, right: &Node<'_>) -> Written {
        let word = word(operator);
        if matches!(operator, Operator::ArrowRight | Operator::ArrowRightShift) {
            self.using(NameKind::Operator, word);
        }
        let known = self.sequence(&["(", &format!(" {word} "), ")"], &[left, right])?;
        Ok(match operator {
            Operator::Is | Operator::IsNot => Meaning::unknown(&known).with(Nullness::Never),
            Operator::ArrowRight | Operator::ArrowRightShift => Meaning::unknown(&known).raising(true),
            Operator::Divide | Operator::Modulus => Meaning::unknown(&known),
            // Infinity minus infinity, or times zero, is NULL: only a finite number on one side rules that out.
            Operator::Add | Operator::Subtract if !(is_finite(left) || is_finite(right)) => Meaning::unknown(&known),
            Operator::Multiply if !(is_factor(left) || is_factor(right)) => Meaning::unknown(&known),
            _ => Meaning::strict(&known),
        })
    }

    fn unary(&mut self, operator: UnaryOperator, operand: &Node<'_>) -> Written {
        let open = match operator {
            UnaryOperator::BitwiseNot => "(~",
            UnaryOperator::Negative => "(-",
            UnaryOperator::Not => "(NOT ",
            UnaryOperator::Positive => "(+",
        };
        let known = self.sequence(&[open, ")"], &[operand])?;
        let signs = matches!(operator, UnaryOperator::Negative | UnaryOperator::Positive);
        Ok(Meaning { constant: signs && known.iter().all(|one| one.constant), ..Meaning::strict(&known) })
    }

    fn null_test(&mut self, operand: &Node<'_>, close: &str) -> Written {
        let known = self.sequence(&["(", close], &[operand])?;
        Ok(Meaning::unknown(&known).with(Nullness::Never))
    }

    fn in_list(&mut self, left: &Node<'_>, not: bool, items: &[Node<'_>]) -> Written {
        let word = if not { " NOT IN (" } else { " IN (" };
        let mut known = self.sequence(&["(", word], &[left])?;
        known.extend(self.list(items)?);
        self.text("))");
        Ok(Meaning::strict(&known))
    }

    fn list(&mut self, items: &[Node<'_>]) -> Result<Vec<Meaning>, String> {
        let mut known = Vec::with_capacity(items.len());
        for (at, item) in items.iter().enumerate() {
            if at > 0 {
                self.text(", ");
            }
            known.push(self.node(item)?);
        }
        Ok(known)
    }

    fn like(
        &mut self,
        left: &Node<'_>,
        not: bool,
        operator: LikeOperator,
        pattern: &Node<'_>,
        escape: Option<&Node<'_>>,
    ) -> Written {
        let word = match operator {
            LikeOperator::Glob => "GLOB",
            LikeOperator::Like => "LIKE",
            LikeOperator::Match => "MATCH",
            LikeOperator::Regexp => "REGEXP",
        };
        let is_own = matches!(operator, LikeOperator::Like | LikeOperator::Glob);
        self.using(NameKind::Function, word);
        let middle = format!(" {}{word} ", if not { "NOT " } else { "" });
        let known = match escape {
            Some(escape) => self.sequence(&["(", &middle, " ESCAPE ", ")"], &[left, pattern, escape])?,
            None => self.sequence(&["(", &middle, ")"], &[left, pattern])?,
        };
        let is_string = |node: &Node<'_>| matches!(node, Node::Literal(Literal::String(_)));
        let safe = is_own && is_string(pattern) && escape.is_none_or(is_character);
        Ok(if is_own { Meaning::strict(&known) } else { Meaning::unknown(&known) }.raising(!safe))
    }

    fn case(&mut self, base: Option<&Node<'_>>, branches: &[(Node<'_>, Node<'_>)], last: Option<&Node<'_>>) -> Written {
        let mut known = Vec::new();
        let mut results = Vec::new();
        self.text("(CASE");
        if let Some(base) = base {
            self.text(" ");
            known.push(self.node(base)?);
        }
        for (when, then) in branches {
            known.extend(self.sequence(&[" WHEN ", " THEN "], &[when])?);
            results.push(self.node(then)?);
        }
        match last {
            Some(last) => results.extend(self.sequence(&[" ELSE "], &[last])?),
            None => results.push(Meaning::literal().with(Nullness::Always)),
        }
        self.text(" END)");
        let nullness = one(results.iter().map(|result| result.nullness.clone()).collect());
        known.extend(results);
        Ok(Meaning::unknown(&known).with(nullness))
    }

    fn cast(&mut self, operand: &Node<'_>, to: Option<&Type<'_>>) -> Written {
        let to = to.map(super::statement::declared_type).unwrap_or_default();
        let close = format!(" AS {to})");
        let known = self.sequence(&["CAST(", &close], &[operand])?;
        Ok(Meaning::strict(&known))
    }

    fn call(&mut self, written: &str, arguments: &[Node<'_>]) -> Written {
        let function = name::ident(written).map_err(|_| "an empty name")?;
        let lower = function.as_str().to_ascii_lowercase();
        if function::is_of_many_rows(&lower, arguments.len()) {
            return Err(format!("`{lower}`, a function of many rows,"));
        }
        self.using(NameKind::Function, &lower);
        self.text(&format!("{written}("));
        let known = self.list(arguments)?;
        self.text(")");
        if matches!(lower.as_str(), "iif" | "if") && arguments.len() == 3 {
            let nullness = one(known[1..].iter().map(|result| result.nullness.clone()).collect());
            return Ok(Meaning::unknown(&known).with(nullness));
        }
        Ok(function::call(&lower, &known))
    }
}

fn word(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::And => "AND",
        Operator::ArrowRight => "->",
        Operator::ArrowRightShift => "->>",
        Operator::BitwiseAnd => "&",
        Operator::BitwiseOr => "|",
        Operator::Concat => "||",
        Operator::Equals => "=",
        Operator::Divide => "/",
        Operator::Greater => ">",
        Operator::GreaterEquals => ">=",
        Operator::Is => "IS",
        Operator::IsNot => "IS NOT",
        Operator::LeftShift => "<<",
        Operator::Less => "<",
        Operator::LessEquals => "<=",
        Operator::Modulus => "%",
        Operator::Multiply => "*",
        Operator::NotEquals => "<>",
        Operator::Or => "OR",
        Operator::RightShift => ">>",
        Operator::Subtract => "-",
    }
}

/// Returns the finite number that a literal is.
fn number(node: &Node<'_>) -> Option<f64> {
    match node {
        Node::Literal(Literal::Numeric(number)) => {
            number.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite())
        }
        _ => None,
    }
}

fn is_finite(node: &Node<'_>) -> bool {
    number(node).is_some()
}

fn is_factor(node: &Node<'_>) -> bool {
    number(node).is_some_and(|number| number != 0.0)
}

/// Returns whether it is a literal of one character.
fn is_character(node: &Node<'_>) -> bool {
    match node {
        Node::Literal(Literal::String(quoted)) => name::unquoted(quoted).chars().count() == 1,
        _ => false,
    }
}
