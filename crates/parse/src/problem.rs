//! Why a file cannot be read, and where.

use segue_model::change::Place;

/// One thing that keeps a file from being read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Problem {
    /// Where it is.
    pub at: Place,
    /// Which bytes of the normalised text (see [`crate::normalise`]) it is about.
    pub span: Option<(usize, usize)>,
    /// What it is.
    pub kind: ProblemKind,
}

impl Problem {
    /// What the user can do about it, in one sentence.
    pub fn hint(&self) -> String {
        self.kind.hint()
    }
}

/// What a [`Problem`] is. Shown to the user as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemKind {
    /// The bytes are no UTF-8.
    #[error("the file is not UTF-8 text")]
    NotUtf8,
    /// A NUL character.
    #[error("the file holds a NUL character")]
    Nul,
    /// The grammar does not allow it.
    #[error("{message}")]
    Syntax {
        /// The parser's own words.
        message: String,
    },
    /// A quote or comment that is never closed.
    #[error("this {what} is never closed")]
    Unterminated {
        /// `string`, `quoted name`, `comment`, `dollar-quoted string`.
        what: &'static str,
    },
    /// A line for psql.
    #[error("`{command}` is a command of psql, not SQL")]
    MetaCommand {
        /// With its backslash.
        command: String,
    },
    /// What follows `COPY … FROM stdin`.
    #[error("data for `COPY … FROM stdin` cannot stand in a migration")]
    CopyData,
    /// The statement is too deep for the parser.
    #[error("the statement is nested too deeply to be read")]
    TooDeep,
    /// An empty name.
    #[error("a name cannot be empty")]
    EmptyName,
    /// A directive that does not exist.
    #[error("there is no directive `{word}`")]
    UnknownDirective {
        /// As written.
        word: String,
        /// The known one that is most like it.
        nearest: Option<&'static str>,
    },
    /// A comment that was probably meant to be a directive.
    #[error("`{found}` looks like a directive and is none")]
    NearlyDirective {
        /// As written, its beginning.
        found: String,
        /// What it should be like.
        meant: String,
    },
    /// A directive that lacks something.
    #[error("the directive must read `{form}`")]
    DirectiveForm {
        /// How it is written.
        form: &'static str,
    },
    /// A directive between the words of a statement.
    #[error("a directive must stand outside a statement")]
    DirectiveInStatement,
    /// A name that a directive gives and that does not exist.
    #[error("there is no {what} `{word}`")]
    UnknownWord {
        /// What was looked for: `strategy`.
        what: &'static str,
        /// As written.
        word: String,
        /// The known one that is most like it.
        nearest: Option<&'static str>,
    },
    /// A column that a table of the same file does not have.
    #[error("the table `{table}` that this file creates has no column `{column}`")]
    MissingColumn {
        /// The table.
        table: String,
        /// As written.
        column: String,
        /// The column that is most like it.
        nearest: Option<String>,
    },
    /// Several commands in one ALTER TABLE, where the engine takes one.
    #[error("SQLite takes one change in an `ALTER TABLE`")]
    OneChange,
    /// An expression that cannot be carried into triggers safely.
    #[error("not yet: {what} in an expression")]
    Expression {
        /// What it is, in words or in the words of the SQL.
        what: String,
    },
}

impl ProblemKind {
    fn hint(&self) -> String {
        match self {
            Self::NotUtf8 => "Save the file as UTF-8.".to_owned(),
            Self::Nul => "Remove the NUL character; no database accepts one in SQL.".to_owned(),
            Self::Syntax { .. } => "Correct the SQL here; the database would refuse it too.".to_owned(),
            Self::Unterminated { what } => format!("Close the {what}."),
            Self::MetaCommand { .. } => "Remove the line, or write what it does as SQL.".to_owned(),
            Self::CopyData => "Load data outside of migrations, or write it as INSERT.".to_owned(),
            Self::TooDeep => "Split the expression or the statement into smaller ones.".to_owned(),
            Self::EmptyName => "Give the name at least one character.".to_owned(),
            Self::UnknownDirective { nearest: Some(nearest), .. }
            | Self::UnknownWord { nearest: Some(nearest), .. } => {
                format!("Did you mean `{nearest}`?")
            }
            Self::UnknownDirective { nearest: None, .. } => {
                "Known are `TABLE.COLUMN = EXPR`, `back`, `rows`, `strategy`, `allow`, `depends` and `orphans`."
                    .to_owned()
            }
            Self::UnknownWord { what, .. } => format!("Check the {what}'s spelling."),
            Self::NearlyDirective { meant, .. } => format!("Write `{meant}`, or reword the comment."),
            Self::DirectiveForm { form } => format!("Write `-- segue: {form}` on one line."),
            Self::DirectiveInStatement => "Move it to a line before or after the statement.".to_owned(),
            Self::MissingColumn { nearest: Some(nearest), .. } => format!("Did you mean `{nearest}`?"),
            Self::MissingColumn { nearest: None, .. } => "Check the column's spelling.".to_owned(),
            Self::OneChange => "On SQLite write one change a statement: `ALTER TABLE` again for the next.".to_owned(),
            Self::Expression { .. } => {
                "Use columns of the same table, literals, operators, casts, CASE and ordinary functions.".to_owned()
            }
        }
    }
}

/// A [`Problem`] before its place in the file is known: bytes of the text that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) span: (usize, usize),
    pub(crate) kind: ProblemKind,
}

impl Fault {
    /// Returns the fault of a text that begins `by` bytes further on.
    pub(crate) fn shifted(mut self, by: usize) -> Self {
        self.span = (self.span.0 + by, self.span.1 + by);
        self
    }

    pub(crate) fn syntax(span: (usize, usize), message: impl Into<String>) -> Self {
        Self { span, kind: ProblemKind::Syntax { message: message.into() } }
    }

    pub(crate) fn expression(span: (usize, usize), what: impl Into<String>) -> Self {
        Self { span, kind: ProblemKind::Expression { what: what.into() } }
    }
}
