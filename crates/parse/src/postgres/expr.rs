//! A user's expression, written anew so that every name in it can be given its schema.
//!
//! Each operation is put in parentheses of its own, because `OPERATOR(schema.+)` binds differently than `+`. Syntax that
//! looks an operator up by its bare name (`IN`, `BETWEEN`, `CASE x WHEN`, `NULLIF`, `IS DISTINCT FROM`) is written as the
//! operations that it stands for; what cannot be written safely is refused.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AConst, AExpr, AExprKind, AIndirection, BoolExpr, BoolExprType, BoolTestType, BooleanTest, CaseExpr, CoercionForm,
    CollateClause, ColumnRef, FuncCall, MinMaxOp, Node, NullTest, NullTestType, SelectStmt, SqlValueFunction,
    SqlValueFunctionOp, TypeCast, a_const,
};
use segue_model::expr::{Expr, NameKind, NameUse, Nullness, Part};
use segue_model::ident::{Ident, TableRef};

use super::{function, lex, name, syntax};
use crate::nullness::{Meaning, all, one};
use crate::problem::Fault;
use crate::token::Token;

const SELECT: &str = "SELECT ";

/// Rewriting repeats operands; beyond this many pieces an expression is refused rather than grown.
const PARTS_MAX: usize = 10_000;

/// Returns the expression that is the whole text.
pub(super) fn read(text: &str, table: &TableRef) -> Result<Expr, Fault> {
    let back = |fault: Fault| Fault {
        span: (fault.span.0.saturating_sub(SELECT.len()), fault.span.1.saturating_sub(SELECT.len())),
        ..fault
    };
    let query = format!("{SELECT}{text}");
    let tokens: Result<Vec<Token>, Fault> = lex::Lexer::new(&query).collect();
    let tokens = tokens.map_err(back)?;
    let statement = syntax::parse(&query, &tokens).map_err(back)?;
    let NodeEnum::SelectStmt(mut select) = statement else {
        return Err(Fault::syntax((0, text.len()), "this is no expression"));
    };
    let target = select.target_list.pop().and_then(|node| node.node);
    let Some(NodeEnum::ResTarget(target)) = target else {
        return Err(Fault::syntax((0, text.len()), "this is no expression"));
    };
    let alone = *select == SelectStmt { limit_option: select.limit_option, op: select.op, ..SelectStmt::default() };
    match target.val.and_then(|node| node.node) {
        Some(value) if alone && target.name.is_empty() => of_node(&value, text, (0, text.len()), table),
        _ => Err(Fault::syntax((0, text.len()), "this is not one expression")),
    }
}

/// Returns a parsed expression whose source is these bytes of the text.
pub(super) fn of_node(value: &NodeEnum, text: &str, source: (usize, usize), table: &TableRef) -> Result<Expr, Fault> {
    let mut writer = Writer { table, parts: Vec::new(), uses: Vec::new() };
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

/// What is known of a piece that was written; the error says what cannot be.
type Written = Result<Meaning, String>;

struct Writer<'t> {
    table: &'t TableRef,
    parts: Vec<Part>,
    uses: Vec<NameUse>,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        match self.parts.last_mut() {
            Some(Part::Text(last)) => last.push_str(text),
            _ => self.parts.push(Part::Text(text.to_owned())),
        }
    }

    /// Notes that a name is used and returns its number.
    fn using(&mut self, kind: NameKind, schema: Option<&str>, name: &str) -> Result<usize, String> {
        let schema = schema.map(|schema| Ident::new(schema).map_err(|_| "an empty name".to_owned())).transpose()?;
        let used = NameUse { kind, schema, name: name.to_owned() };
        if let Some(at) = self.uses.iter().position(|other| *other == used) {
            return Ok(at);
        }
        self.uses.push(used);
        Ok(self.uses.len() - 1)
    }

    /// Writes the schema of a name and the dot after it.
    fn schema(&mut self, kind: NameKind, names: &[&str]) -> Result<(), String> {
        let (schema, name) = match names {
            [name] => (None, *name),
            [schema, name] => (Some(*schema), *name),
            _ => return Err(format!("the name `{}`", names.join("."))),
        };
        let at = self.using(kind, schema, name)?;
        if self.parts.len() > PARTS_MAX {
            return Err("an expression of this size".to_owned());
        }
        self.parts.push(Part::Schema(at));
        self.text(".");
        Ok(())
    }

    fn boxed(&mut self, node: Option<&Node>) -> Written {
        match node.and_then(|node| node.node.as_ref()) {
            Some(node) => self.node(node),
            None => Err("an empty place".to_owned()),
        }
    }

    fn node(&mut self, node: &NodeEnum) -> Written {
        match node {
            NodeEnum::ColumnRef(column) => self.column(column),
            NodeEnum::AConst(constant) => Ok(self.constant(constant)),
            NodeEnum::TypeCast(cast) => self.cast(cast),
            NodeEnum::AExpr(operation) => self.operation(operation),
            NodeEnum::BoolExpr(logic) => self.logic(logic),
            NodeEnum::NullTest(test) => self.null_test(test),
            NodeEnum::BooleanTest(test) => self.boolean_test(test),
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::CaseExpr(case) => self.case(case),
            NodeEnum::CoalesceExpr(coalesce) => {
                let known = self.list("COALESCE(", &coalesce.args, ")")?;
                Ok(Meaning::unknown(&known).with(all(known.iter().map(|one| one.nullness.clone()))))
            }
            NodeEnum::MinMaxExpr(extreme) => {
                let word = if extreme.op() == MinMaxOp::IsLeast { "LEAST(" } else { "GREATEST(" };
                let known = self.list(word, &extreme.args, ")")?;
                Ok(Meaning::unknown(&known).with(all(known.iter().map(|one| one.nullness.clone()))))
            }
            NodeEnum::SqlvalueFunction(value) => self.value_function(value),
            NodeEnum::CollateClause(collate) => self.collate(collate),
            NodeEnum::AArrayExpr(array) => {
                let known = self.list("(ARRAY[", &array.elements, "])")?;
                Ok(Meaning::unknown(&known).with(Nullness::Never))
            }
            NodeEnum::AIndirection(element) => self.element(element),
            other => Err(refused(other)),
        }
    }

    fn list(&mut self, open: &str, nodes: &[Node], close: &str) -> Result<Vec<Meaning>, String> {
        self.text(open);
        let mut known = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.iter().enumerate() {
            if at > 0 {
                self.text(", ");
            }
            known.push(self.boxed(Some(node))?);
        }
        self.text(close);
        Ok(known)
    }

    fn column(&mut self, column: &ColumnRef) -> Written {
        let names = name::strings(&column.fields).ok_or("`*`")?;
        let of_table = |name: &str| name == self.table.name.as_str();
        let of_schema = |name: &str| self.table.schema.as_ref().is_some_and(|schema| schema.as_str() == name);
        let column = match names.as_slice() {
            [column] => *column,
            [table, column] if of_table(table) => *column,
            [schema, table, column] if of_table(table) && of_schema(schema) => *column,
            _ => return Err(format!("`{}`, which is no column of `{}`,", names.join("."), self.table)),
        };
        let column = Ident::new(column).map_err(|_| "an empty name")?;
        self.parts.push(Part::Column(column.clone()));
        Ok(Meaning { nullness: Nullness::Column(column), can_raise: false, constant: false })
    }

    fn constant(&mut self, constant: &AConst) -> Meaning {
        let written = match &constant.val {
            None => {
                self.text("NULL");
                return Meaning::literal().with(Nullness::Always);
            }
            Some(a_const::Val::Ival(n)) => signed(n.ival.to_string()),
            Some(a_const::Val::Fval(n)) => signed(n.fval.clone()),
            Some(a_const::Val::Boolval(is)) => if is.boolval { "TRUE" } else { "FALSE" }.to_owned(),
            Some(a_const::Val::Sval(text)) => literal(&text.sval),
            Some(a_const::Val::Bsval(bits)) => {
                let (kind, digits) = bits.bsval.split_at(bits.bsval.len().min(1));
                format!("{}'{digits}'", kind.to_ascii_uppercase())
            }
        };
        self.text(&written);
        Meaning::literal()
    }

    fn cast(&mut self, cast: &TypeCast) -> Written {
        let to = cast.type_name.as_ref().ok_or("a cast")?;
        let names = name::strings(&to.names).ok_or("a cast to such a type")?;
        let (Some(tail), Some(last)) = (name::type_tail(to), names.last()) else {
            return Err("a cast to such a type".to_owned());
        };
        self.text("CAST(");
        let argument = self.boxed(cast.arg.as_deref())?;
        self.text(" AS ");
        if let ["pg_catalog", _] = names.as_slice() {
            self.text("pg_catalog.");
        } else {
            self.schema(NameKind::Type, &names)?;
        }
        self.text(&name::quoted(last));
        self.text(&tail);
        self.text(")");
        if !function::is_built_in_type(&names) {
            return Ok(Meaning::unknown(&[argument]).raising(true));
        }
        let (constant, raises) = match cast.arg.as_deref().and_then(function::constant) {
            Some(value) => function::literal_cast(value, last, !tail.is_empty()),
            None => (false, !(function::is_text(last) && tail.is_empty())),
        };
        Ok(Meaning { constant, ..Meaning::strict(&[argument]) }.raising(raises))
    }

    fn operation(&mut self, operation: &AExpr) -> Written {
        let names = name::strings(&operation.name).ok_or("an operator")?;
        let (left, right) = (operation.lexpr.as_deref(), operation.rexpr.as_deref());
        match operation.kind() {
            AExprKind::AexprOp | AExprKind::AexprLike | AExprKind::AexprIlike | AExprKind::AexprSimilar => {
                self.apply(left, &names, right)
            }
            AExprKind::AexprOpAny => self.array_operation(left, &names, "ANY", right),
            AExprKind::AexprOpAll => self.array_operation(left, &names, "ALL", right),
            AExprKind::AexprIn => self.in_list(left, &names, right),
            AExprKind::AexprDistinct => self.distinct(left, &names, right, true),
            AExprKind::AexprNotDistinct => self.distinct(left, &names, right, false),
            AExprKind::AexprNullif => self.null_if(left, &names, right),
            AExprKind::AexprBetween => self.between(left, right, Between { not: false, symmetric: false }),
            AExprKind::AexprNotBetween => self.between(left, right, Between { not: true, symmetric: false }),
            AExprKind::AexprBetweenSym => self.between(left, right, Between { not: false, symmetric: true }),
            AExprKind::AexprNotBetweenSym => self.between(left, right, Between { not: true, symmetric: true }),
            AExprKind::Undefined => Err("an operator".to_owned()),
        }
    }

    fn operator(&mut self, names: &[&str]) -> Result<(), String> {
        self.text(" OPERATOR(");
        self.schema(NameKind::Operator, names)?;
        self.text(names.last().unwrap_or(&""));
        self.text(") ");
        Ok(())
    }

    fn apply(&mut self, left: Option<&Node>, names: &[&str], right: Option<&Node>) -> Written {
        let mut known = Vec::with_capacity(2);
        self.text("(");
        if left.is_some() {
            known.push(self.boxed(left)?);
        }
        self.operator(names)?;
        known.push(self.boxed(right)?);
        self.text(")");
        Ok(match names {
            [name] | ["pg_catalog", name] => function::operator(name, right, &known),
            _ => Meaning::unknown(&known).raising(true),
        })
    }

    fn array_operation(&mut self, left: Option<&Node>, names: &[&str], word: &str, right: Option<&Node>) -> Written {
        self.text("(");
        let left = self.boxed(left)?;
        self.operator(names)?;
        self.text(word);
        self.text(" (");
        let right = self.boxed(right)?;
        self.text("))");
        Ok(Meaning::unknown(&[left, right]).raising(true))
    }

    /// Writes operations on pairs, joined by a word: the form in which `IN` and `BETWEEN` are understood by the server.
    fn joined(&mut self, word: &str, pairs: &[(Option<&Node>, &str, Option<&Node>)]) -> Written {
        let mut known = Vec::with_capacity(pairs.len());
        self.text("(");
        for (at, (left, operator, right)) in pairs.iter().enumerate() {
            if at > 0 {
                self.text(word);
            }
            known.push(self.apply(*left, &[operator], *right)?);
        }
        self.text(")");
        Ok(Meaning::strict(&known))
    }

    fn in_list(&mut self, left: Option<&Node>, names: &[&str], right: Option<&Node>) -> Written {
        let Some(NodeEnum::List(list)) = right.and_then(|node| node.node.as_ref()) else {
            return Err("IN with a subquery".to_owned());
        };
        let (operator, word) = if names == ["<>"] { ("<>", " AND ") } else { ("=", " OR ") };
        let pairs: Vec<_> = list.items.iter().map(|item| (left, operator, Some(item))).collect();
        self.joined(word, &pairs)
    }

    fn between(&mut self, value: Option<&Node>, bounds: Option<&Node>, of: Between) -> Written {
        let Some(NodeEnum::List(list)) = bounds.and_then(|node| node.node.as_ref()) else {
            return Err("BETWEEN".to_owned());
        };
        let [low, high] = list.items.as_slice() else { return Err("BETWEEN".to_owned()) };
        let (first, second, word, outer) =
            if of.not { ("<", ">", " OR ", " AND ") } else { (">=", "<=", " AND ", " OR ") };
        let straight = [(value, first, Some(low)), (value, second, Some(high))];
        if !of.symmetric {
            return self.joined(word, &straight);
        }
        self.text("(");
        let left = self.joined(word, &straight)?;
        self.text(outer);
        let right = self.joined(word, &[(value, first, Some(high)), (value, second, Some(low))])?;
        self.text(")");
        Ok(Meaning::strict(&[left, right]))
    }

    fn null_if(&mut self, left: Option<&Node>, names: &[&str], right: Option<&Node>) -> Written {
        self.text("(CASE WHEN ");
        let compared = self.apply(left, names, right)?;
        self.text(" THEN NULL ELSE ");
        let value = self.boxed(left)?;
        self.text(" END)");
        Ok(Meaning::unknown(&[compared, value]))
    }

    fn distinct(&mut self, left: Option<&Node>, names: &[&str], right: Option<&Node>, is: bool) -> Written {
        let (equal, different) = if is { ("FALSE", "TRUE") } else { ("TRUE", "FALSE") };
        self.text("(CASE WHEN ");
        let compared = self.apply(left, names, right)?;
        self.text(&format!(" THEN {equal} WHEN (("));
        self.boxed(left)?;
        self.text(" IS NULL) AND (");
        self.boxed(right)?;
        self.text(&format!(" IS NULL)) THEN {equal} ELSE {different} END)"));
        Ok(Meaning::unknown(&[compared]).with(Nullness::Never))
    }

    fn logic(&mut self, logic: &BoolExpr) -> Written {
        if logic.boolop() == BoolExprType::NotExpr {
            self.text("(NOT ");
            let known = self.boxed(logic.args.first())?;
            self.text(")");
            return Ok(Meaning::strict(&[known]));
        }
        let word = if logic.boolop() == BoolExprType::AndExpr { " AND " } else { " OR " };
        self.text("(");
        let mut known = Vec::with_capacity(logic.args.len());
        for (at, argument) in logic.args.iter().enumerate() {
            if at > 0 {
                self.text(word);
            }
            known.push(self.boxed(Some(argument))?);
        }
        self.text(")");
        Ok(Meaning::strict(&known))
    }

    fn null_test(&mut self, test: &NullTest) -> Written {
        let words = if test.nulltesttype() == NullTestType::IsNull { " IS NULL)" } else { " IS NOT NULL)" };
        self.postfix(test.arg.as_deref(), words)
    }

    fn boolean_test(&mut self, test: &BooleanTest) -> Written {
        let words = match test.booltesttype() {
            BoolTestType::IsTrue => " IS TRUE)",
            BoolTestType::IsNotTrue => " IS NOT TRUE)",
            BoolTestType::IsFalse => " IS FALSE)",
            BoolTestType::IsNotFalse => " IS NOT FALSE)",
            BoolTestType::IsUnknown => " IS UNKNOWN)",
            BoolTestType::IsNotUnknown => " IS NOT UNKNOWN)",
            BoolTestType::Undefined => return Err("such a test".to_owned()),
        };
        self.postfix(test.arg.as_deref(), words)
    }

    fn postfix(&mut self, argument: Option<&Node>, words: &str) -> Written {
        self.text("(");
        let known = self.boxed(argument)?;
        self.text(words);
        Ok(Meaning::unknown(&[known]).with(Nullness::Never))
    }

    fn call(&mut self, call: &FuncCall) -> Written {
        let names = name::strings(&call.funcname).ok_or("a function")?;
        let last = *names.last().ok_or("a function")?;
        let is_built_in = matches!(names.as_slice(), [_] | ["pg_catalog", _]);
        let of_many = call.agg_star
            || call.agg_distinct
            || call.agg_within_group
            || !call.agg_order.is_empty()
            || call.agg_filter.is_some()
            || (is_built_in && function::is_of_many_rows(last));
        if call.over.is_some() || of_many {
            return Err(format!("`{last}`, a function of many rows,"));
        }
        if call.funcformat() == CoercionForm::CoerceSqlSyntax {
            return self.syntax_call(last, call);
        }
        self.schema(NameKind::Function, &names)?;
        self.text(&name::quoted(last));
        let known = self.arguments(call)?;
        if !is_built_in {
            return Ok(Meaning::unknown(&known).raising(true));
        }
        Ok(function::call(last, &call.args, &known, call.func_variadic))
    }

    fn arguments(&mut self, call: &FuncCall) -> Result<Vec<Meaning>, String> {
        let mut known = Vec::with_capacity(call.args.len());
        self.text("(");
        for (at, argument) in call.args.iter().enumerate() {
            if at > 0 {
                self.text(", ");
            }
            if call.func_variadic && at + 1 == call.args.len() {
                self.text("VARIADIC ");
            }
            known.push(match &argument.node {
                Some(NodeEnum::NamedArgExpr(named)) => {
                    self.text(&format!("{} => ", name::quoted(&named.name)));
                    // Which argument it is, only the catalog knows.
                    self.boxed(named.arg.as_deref())?.with(Nullness::Unknown)
                }
                _ => self.boxed(Some(argument))?,
            });
        }
        self.text(")");
        Ok(known)
    }

    /// Writes a function that has a syntax of its own (`EXTRACT(… FROM …)`, `AT TIME ZONE`): the grammar itself finds it in
    /// `pg_catalog`.
    fn syntax_call(&mut self, name: &str, call: &FuncCall) -> Written {
        if name == "extract" {
            // As a function it is `date_part` in PostgreSQL 13 and `extract` since.
            let [field, of] = call.args.as_slice() else { return Err("EXTRACT".to_owned()) };
            self.using(NameKind::Function, Some("pg_catalog"), "date_part")?;
            self.text("EXTRACT(");
            self.boxed(Some(field))?;
            self.text(" FROM ");
            let known = self.boxed(Some(of))?;
            self.text(")");
            return Ok(Meaning::unknown(&[known]).raising(true));
        }
        self.using(NameKind::Function, Some("pg_catalog"), name)?;
        self.text("pg_catalog.");
        self.text(&name::quoted(name));
        let known = self.arguments(call)?;
        Ok(function::call(name, &call.args, &known, call.func_variadic))
    }

    fn case(&mut self, case: &CaseExpr) -> Written {
        let operand = case.arg.as_deref();
        let mut known = Vec::new();
        let mut results = Vec::new();
        self.text("(CASE");
        for branch in &case.args {
            let Some(NodeEnum::CaseWhen(when)) = &branch.node else { return Err("CASE".to_owned()) };
            self.text(" WHEN ");
            known.push(match operand {
                Some(_) => self.apply(operand, &["="], when.expr.as_deref())?,
                None => self.boxed(when.expr.as_deref())?,
            });
            self.text(" THEN ");
            results.push(self.boxed(when.result.as_deref())?);
        }
        match case.defresult.as_deref() {
            Some(otherwise) => {
                self.text(" ELSE ");
                results.push(self.boxed(Some(otherwise))?);
            }
            None => results.push(Meaning::literal().with(Nullness::Always)),
        }
        self.text(" END)");
        let nullness = one(results.iter().map(|result| result.nullness.clone()).collect());
        known.extend(results);
        Ok(Meaning::unknown(&known).with(nullness))
    }

    fn value_function(&mut self, value: &SqlValueFunction) -> Written {
        use SqlValueFunctionOp as Op;
        let (word, function) = match value.op() {
            Op::SvfopCurrentDate => ("CURRENT_DATE", "now"),
            Op::SvfopCurrentTime | Op::SvfopCurrentTimeN => ("CURRENT_TIME", "now"),
            Op::SvfopCurrentTimestamp | Op::SvfopCurrentTimestampN => ("CURRENT_TIMESTAMP", "now"),
            Op::SvfopLocaltime | Op::SvfopLocaltimeN => ("LOCALTIME", "now"),
            Op::SvfopLocaltimestamp | Op::SvfopLocaltimestampN => ("LOCALTIMESTAMP", "now"),
            Op::SvfopCurrentRole | Op::SvfopCurrentUser | Op::SvfopUser => ("CURRENT_USER", "current_user"),
            Op::SvfopSessionUser => ("SESSION_USER", "session_user"),
            Op::SvfopCurrentCatalog => ("CURRENT_CATALOG", "current_database"),
            Op::SvfopCurrentSchema => ("CURRENT_SCHEMA", "current_schema"),
            Op::SqlvalueFunctionOpUndefined => return Err("such a value".to_owned()),
        };
        // Named so that its volatility is looked at like that of the function it stands for.
        self.using(NameKind::Function, Some("pg_catalog"), function)?;
        self.text(word);
        if value.typmod >= 0 {
            self.text(&format!("({})", value.typmod));
        }
        let nullness = if function == "current_schema" { Nullness::Unknown } else { Nullness::Never };
        Ok(Meaning { constant: false, ..Meaning::literal() }.with(nullness))
    }

    fn collate(&mut self, collate: &CollateClause) -> Written {
        let names = name::strings(&collate.collname).ok_or("COLLATE")?;
        self.text("(");
        let known = self.boxed(collate.arg.as_deref())?;
        self.text(" COLLATE ");
        self.schema(NameKind::Collation, &names)?;
        self.text(&name::quoted(names.last().unwrap_or(&"")));
        self.text(")");
        Ok(Meaning::strict(&[known]))
    }

    /// Writes an element or a slice of an array.
    fn element(&mut self, element: &AIndirection) -> Written {
        self.text("((");
        let mut known = vec![self.boxed(element.arg.as_deref())?];
        self.text(")");
        for step in &element.indirection {
            let Some(NodeEnum::AIndices(index)) = &step.node else { return Err("a field of a value".to_owned()) };
            self.text("[");
            if let Some(lower) = index.lidx.as_deref() {
                known.push(self.boxed(Some(lower))?);
            }
            if index.is_slice {
                self.text(":");
            }
            if let Some(upper) = index.uidx.as_deref() {
                known.push(self.boxed(Some(upper))?);
            }
            self.text("]");
        }
        self.text(")");
        Ok(Meaning::unknown(&known))
    }
}

#[derive(Clone, Copy)]
struct Between {
    not: bool,
    symmetric: bool,
}

/// Puts a negative number in parentheses, so that what stands before it is no part of it.
fn signed(number: String) -> String {
    if number.starts_with('-') { format!("({number})") } else { number }
}

/// Writes a string so that `standard_conforming_strings`, which the application may set, makes no difference.
fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if quoted.contains('\\') { format!("E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

fn refused(node: &NodeEnum) -> String {
    match node {
        NodeEnum::SubLink(_) => "a subquery",
        NodeEnum::ParamRef(_) => "a parameter",
        NodeEnum::RowExpr(_) => "a row",
        NodeEnum::SetToDefault(_) => "DEFAULT",
        NodeEnum::XmlExpr(_) | NodeEnum::XmlSerialize(_) => "an XML construct",
        NodeEnum::JsonObjectConstructor(_)
        | NodeEnum::JsonArrayConstructor(_)
        | NodeEnum::JsonFuncExpr(_)
        | NodeEnum::JsonIsPredicate(_)
        | NodeEnum::JsonParseExpr(_)
        | NodeEnum::JsonScalarExpr(_)
        | NodeEnum::JsonSerializeExpr(_) => "an SQL/JSON construct",
        NodeEnum::GroupingFunc(_) => "GROUPING",
        _ => "such a construct",
    }
    .to_owned()
}
