//! Statements with parameters: prepared once a session, executed many times.

use segue_model::ident::Ident;
use segue_model::session::{Fail, FailKind};
use segue_model::sql::{Hole, Sql, StandardQuoting};
use segue_model::value::Value;

/// How many statements a session keeps prepared: those of a window and of the journal beside it are about ten.
const KEPT_MAX: usize = 48;

/// How many names may be in doubt before the server is asked which of them it has.
const DOUBTFUL_MAX: usize = 16;

/// What the session has prepared.
///
/// PREPARE and EXECUTE are messages of the simple protocol: the server binds the values, and every type of result comes back
/// as text, which the extended protocol of the driver cannot do.
pub(super) struct Statements {
    /// The least recently used first.
    kept: Vec<Prepared>,
    /// Names whose message failed: whether the server has them is not known.
    doubtful: Vec<Ident>,
    /// Numbers the names, so that one that outlived an error does not stand in the way.
    numbered: u64,
    /// A pooler hands each transaction another backend: nothing stays prepared.
    keeps: bool,
}

struct Prepared {
    sql: String,
    parameters: usize,
    name: Ident,
}

/// What stands around a statement in its message.
pub(super) struct Framed {
    pub(super) head: Sql,
    pub(super) tail: Sql,
    /// The statement itself stands between them; else the server has it already.
    pub(super) shows: bool,
    name: Option<Ident>,
}

impl Statements {
    pub(super) fn new(pooled: bool) -> Self {
        Self { kept: Vec::new(), doubtful: Vec::new(), numbered: 0, keeps: !pooled }
    }

    /// Returns how the statement is sent. The answer belongs to [`Self::answered`].
    pub(super) fn framed(&mut self, sql: &str, params: &[Value]) -> Result<Framed, Fail> {
        if params.is_empty() {
            return Ok(Framed { head: Sql::fixed(""), tail: Sql::fixed(""), shows: true, name: None });
        }
        let values = params.iter().map(literal).collect::<Result<Vec<_>, _>>()?;
        match self.kept.iter().position(|known| known.sql == sql && known.parameters == params.len()) {
            Some(at) => {
                let known = self.kept.remove(at);
                let framed = execution(&known.name, &values);
                self.kept.push(known);
                Ok(framed)
            }
            None => Ok(self.preparation(params.len(), &values)),
        }
    }

    fn preparation(&mut self, parameters: usize, values: &[Sql]) -> Framed {
        self.numbered += 1;
        let name = Ident::of_ours("segue", "", &self.numbered.to_string(), 63);
        let types = vec![Sql::fixed("text"); parameters];
        let head = Sql::fill(
            &StandardQuoting,
            "PREPARE {name} ({types}) AS ",
            &[("name", Hole::Name(&name)), ("types", Hole::Join(&types, ", "))],
        );
        let template = if self.keeps {
            // On a line of its own: the statement may end with a comment.
            "\n; EXECUTE {name} ({values}){after}"
        } else {
            "\n; EXECUTE {name} ({values}); DEALLOCATE {after}"
        };
        let after = if self.keeps { Hole::Join(&[], "") } else { Hole::Name(&name) };
        let holes = [("name", Hole::Name(&name)), ("values", Hole::Join(values, ", ")), ("after", after)];
        let tail = Sql::fill(&StandardQuoting, template, &holes);
        Framed { head, tail, shows: true, name: Some(name) }
    }

    /// Learns from the answer what the server has now.
    pub(super) fn answered(&mut self, framed: &Framed, sql: &str, parameters: usize, failed: Option<&Fail>) {
        let Some(name) = framed.name.clone().filter(|_| self.keeps) else { return };
        match failed {
            None if framed.shows => self.keep(Prepared { sql: sql.to_owned(), parameters, name }),
            None => {}
            Some(_) if framed.shows => self.doubtful.push(name),
            Some(fail) if is_outdated(fail) => {
                self.kept.retain(|known| known.name != name);
                self.doubtful.push(name);
            }
            Some(_) => {}
        }
    }

    fn keep(&mut self, prepared: Prepared) {
        if self.kept.len() >= KEPT_MAX {
            // Dropped with those in doubt, so that most messages hold one statement.
            self.doubtful.push(self.kept.remove(0).name);
        }
        self.kept.push(prepared);
    }

    /// Returns the question which of the names in doubt the server has, once there are many of them.
    pub(super) fn sweep(&self) -> Option<Sql> {
        let names: Vec<_> = self.doubtful.iter().map(|name| Hole::Text(name.as_str())).collect();
        let names: Vec<_> =
            names.into_iter().map(|name| Sql::fill(&StandardQuoting, "{name}", &[("name", name)])).collect();
        (names.len() >= DOUBTFUL_MAX).then(|| {
            let sql = "SELECT name FROM pg_catalog.pg_prepared_statements WHERE name IN ({names})";
            Sql::fill(&StandardQuoting, sql, &[("names", Hole::Join(&names, ", "))])
        })
    }

    /// Returns what drops those that the server has, and forgets the doubt.
    pub(super) fn swept(&mut self, there: &[String]) -> Option<Sql> {
        let drops: Vec<_> = std::mem::take(&mut self.doubtful)
            .iter()
            .filter(|name| there.iter().any(|found| found == name.as_str()))
            .map(|name| Sql::fill(&StandardQuoting, "DEALLOCATE {name}", &[("name", Hole::Name(name))]))
            .collect();
        let sql = Sql::fill(&StandardQuoting, "{all}", &[("all", Hole::Join(&drops, "; "))]);
        (!drops.is_empty()).then_some(sql)
    }
}

impl Framed {
    /// Returns whether this failure only says that what was prepared is not what the tables are now: prepared again, the
    /// statement may succeed.
    pub(super) fn is_outdated(&self, fail: &Fail) -> bool {
        !self.shows && is_outdated(fail)
    }
}

/// The statement was dropped behind our back (26000), or its result has other columns now.
fn is_outdated(fail: &Fail) -> bool {
    match fail.code.as_deref() {
        Some("26000") => true,
        Some("0A000") => fail.kind == FailKind::Serialization,
        _ => false,
    }
}

fn execution(name: &Ident, values: &[Sql]) -> Framed {
    let holes = [("name", Hole::Name(name)), ("values", Hole::Join(values, ", "))];
    let head = Sql::fill(&StandardQuoting, "EXECUTE {name} ({values})", &holes);
    Framed { head, tail: Sql::fixed(""), shows: false, name: Some(name.clone()) }
}

fn literal(value: &Value) -> Result<Sql, Fail> {
    let text = match value {
        Value::Null => return Ok(Sql::fixed("NULL")),
        Value::Int(number) => number.to_string(),
        Value::Text(text) => text.clone(),
        Value::Real(_) | Value::Bytes(_) => {
            return Err(Fail::new(FailKind::Usage, "PostgreSQL takes parameters as text or whole numbers"));
        }
    };
    Ok(Sql::fill(&StandardQuoting, "{value}", &[("value", Hole::Text(&text))]))
}
