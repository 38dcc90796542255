//! The word that somebody probably meant.

/// Returns the candidate that `word` was probably meant to be: the one with the fewest slips of the finger, if they are few.
///
/// A slip is a letter too many, too few, wrong, or swapped with its neighbour; case does not count. Allowed is one slip in
/// each three letters begun.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let slips_max = word.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .map(|candidate| (slips(word, candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Returns how many slips of the finger lie between two words (the edit distance with transpositions of neighbours).
pub fn slips(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let same = left[row - 1] == right[column - 1];
            let mut best = (above[column] + 1).min(current[column - 1] + 1).min(above[column - 1] + usize::from(!same));
            let swapped =
                row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(before[column - 2] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_count_letters_added_lost_changed_and_swapped() {
        assert_eq!(slips("back", "bak"), 1);
        assert_eq!(slips("segue", "seuge"), 1);
        assert_eq!(slips("", "abc"), 3);
        assert_eq!(slips("Back", "back"), 0);
        assert_eq!(slips("été", "ete"), 2);
    }

    #[test]
    fn only_a_likely_word_is_offered() {
        let words = ["back", "rows", "strategy", "allow", "depends"];
        assert_eq!(nearest("bak", words), Some("back"));
        assert_eq!(nearest("stratgey", words), Some("strategy"));
        assert_eq!(nearest("full_name", words), None);
        assert_eq!(nearest("", words), None);
    }
}
