//! The parser called, and where its errors are: it does not say so itself.

use pg_query::NodeEnum;

use crate::problem::{Fault, ProblemKind};
use crate::token::Token;

/// Returns the one statement of a text.
pub(super) fn parse(text: &str, tokens: &[Token]) -> Result<NodeEnum, Fault> {
    let parsed = match pg_query::parse(text, 0) {
        Ok(parsed) => parsed,
        Err(pg_query::Error::Parse(message)) => return Err(located(text, tokens, &message)),
        Err(_) => return Err(Fault { span: (0, text.len()), kind: ProblemKind::TooDeep }),
    };
    let mut statements = parsed.protobuf.stmts.into_iter();
    match (statements.next().and_then(|raw| raw.stmt).and_then(|node| node.node), statements.next()) {
        (Some(statement), None) => Ok(statement),
        _ => Err(Fault::syntax((0, text.len()), "this is not one statement")),
    }
}

/// Returns the error at the first token that makes it: the text before that is a beginning of some statement.
fn located(text: &str, tokens: &[Token], message: &str) -> Fault {
    if message.contains("stack depth limit") {
        return Fault { span: (0, text.len()), kind: ProblemKind::TooDeep };
    }
    let (mut good, mut bad) = (0, tokens.len());
    if message.ends_with("at end of input") {
        return Fault::syntax((text.len(), text.len()), message);
    }
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        if is_beginning(&text[..tokens[middle - 1].end]) { good = middle } else { bad = middle }
    }
    let span = bad.checked_sub(1).map_or((0, text.len()), |at| (tokens[at].start, tokens[at].end));
    Fault::syntax(span, message)
}

fn is_beginning(text: &str) -> bool {
    match pg_query::parse(text, 0) {
        Ok(_) => true,
        Err(pg_query::Error::Parse(message)) => message.ends_with("at end of input"),
        Err(_) => true,
    }
}
