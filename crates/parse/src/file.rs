//! A whole file: its statements, what they want, and its directives.

use segue_model::change::{Change, Directive, Located, Migration, Statement};
use segue_model::ident::{Ident, MigrationId, TableRef};

use crate::created::Created;
use crate::directive;
use crate::grammar::{Found, Grammar, Wanted};
use crate::problem::{Fault, Problem};
use crate::source::{Lines, Source, checksum, normalise};
use crate::split::{Piece, piece};
use crate::token::span;
use crate::update;

/// More problems than this are not looked for: a file that is no SQL at all has one in each line.
const PROBLEMS_MAX: usize = 20;

/// Returns the file as a migration without a down file.
pub(crate) fn read(grammar: &dyn Grammar, id: &MigrationId, source: &Source<'_>) -> Result<Migration, Vec<Problem>> {
    let text = normalise(source).map_err(|problem| vec![problem])?;
    let lines = Lines::new(source.file, &text);
    let mut reading = Reading {
        grammar,
        text: &text,
        lines: &lines,
        statements: vec![],
        found: vec![],
        directives: vec![],
        faults: vec![],
    };
    reading.all();
    let changes = reading.resolve();
    if !reading.faults.is_empty() {
        reading.faults.sort_by_key(|fault| fault.span);
        return Err(reading.faults.into_iter().map(|fault| lines.problem(&text, fault)).collect());
    }
    Ok(Migration {
        id: id.clone(),
        checksum: checksum(source.text),
        statements: reading.statements,
        changes,
        directives: reading.directives,
        down: None,
    })
}

struct Reading<'t> {
    grammar: &'t dyn Grammar,
    text: &'t str,
    lines: &'t Lines,
    statements: Vec<Statement>,
    /// What is wanted, with the index of the statement that says so.
    found: Vec<(usize, Found)>,
    directives: Vec<Located<Directive>>,
    faults: Vec<Fault>,
}

impl Reading<'_> {
    fn all(&mut self) {
        let mut from = Some(0);
        while let Some(at) = from
            && self.faults.len() < PROBLEMS_MAX
        {
            let piece = piece(self.grammar, self.text, at);
            self.comments(&piece);
            match &piece.broken {
                Some(fault) => {
                    self.faults.push(fault.clone());
                    return;
                }
                None if !piece.tokens.is_empty() => self.statement(&piece),
                None => {}
            }
            if let Some(next) = piece.next
                && let Some(fault) = self.grammar.data_after(self.text, &piece.tokens, next)
            {
                self.faults.push(fault);
                return;
            }
            from = piece.next;
        }
    }

    fn comments(&mut self, piece: &Piece) {
        for comment in &piece.outside {
            match directive::read(self.grammar, self.text, comment) {
                Ok(Some(what)) => {
                    let at = self.lines.place(self.text, comment.start);
                    self.directives.push(Located { what, statement: None, at });
                }
                Ok(None) => {}
                Err(fault) => self.faults.push(fault),
            }
        }
        self.faults.extend(piece.inside.iter().filter_map(|comment| directive::misplaced(self.text, comment)));
    }

    fn statement(&mut self, piece: &Piece) {
        let (start, end) = span(&piece.tokens);
        let tokens: Vec<_> = piece
            .tokens
            .iter()
            .map(|token| crate::token::Token { start: token.start - start, end: token.end - start, ..*token })
            .collect();
        let text = &self.text[start..end];
        match self.grammar.read(text, &tokens) {
            Ok(found) => self.found.extend(found.into_iter().map(|found| (self.statements.len(), found))),
            Err(fault) => self.faults.push(fault.shifted(start)),
        }
        let at = self.lines.place(self.text, start);
        self.statements.push(Statement { text: text.to_owned(), at, span: (start, end) });
    }

    /// Returns the changes, with each UPDATE decided now that all added columns are known.
    fn resolve(&mut self) -> Vec<Located<Change>> {
        let added: Vec<(TableRef, Ident)> = self.found.iter().filter_map(|(_, found)| added(&found.what)).collect();
        let created = Created::of(self.grammar, &self.found);
        let mut changes = Vec::with_capacity(self.found.len());
        for (statement, found) in std::mem::take(&mut self.found) {
            let start = self.statements[statement].span.0;
            let what = match found.what {
                Wanted::Change(change) => Ok(change),
                Wanted::Table { table, beside, .. } => {
                    let definition = self.grammar.new_table(&self.statements[statement].text).map(Box::new);
                    Ok(Change::CreateTable { table, beside, definition })
                }
                Wanted::Index { change, columns } => {
                    let of = |column| created.missing(change.table()?, column);
                    self.faults.extend(columns.iter().filter_map(of).map(|fault| fault.shifted(start)));
                    Ok(change)
                }
                Wanted::Update { table, only_absent, sets } => {
                    let text = &self.statements[statement].text;
                    update::resolve(self.grammar, text, (table, only_absent, sets), &added)
                }
            };
            let at = self.lines.place(self.text, start + found.at);
            match what {
                Ok(what) => changes.push(Located { what, statement: Some(statement), at }),
                Err(fault) => self.faults.push(fault.shifted(start)),
            }
        }
        changes
    }
}

fn added(wanted: &Wanted) -> Option<(TableRef, Ident)> {
    match wanted {
        Wanted::Change(Change::AddColumn { table, column }) => Some((table.clone(), column.name.clone())),
        _ => None,
    }
}
