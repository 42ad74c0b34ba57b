//! The accuracy table, as text and as Markdown.

use super::judge::{CaseResult, Figure, Outcome};
use std::fmt::Write as _;

/// The table for a terminal: a line for each figure, then the sums.
#[must_use]
pub fn text(results: &[CaseResult]) -> String {
    let mut out = String::new();
    for (result, figure) in figures(results) {
        let mark = if figure.holds() { "ok  " } else { "MISS" };
        let _ = writeln!(
            out,
            "{mark} {:<22} {:<30} {:<40} measured {:>16} predicted {:>16} {:>8}",
            result.server,
            result.case,
            figure.name,
            number(figure.measured),
            number(figure.predicted),
            percent(figure)
        );
    }
    out.push_str(&sums(results));
    out
}

/// The table for a document.
#[must_use]
pub fn markdown(results: &[CaseResult]) -> String {
    let mut out = String::from("| server | case | figure | measured | predicted | error | within |\n");
    out.push_str("| --- | --- | --- | ---: | ---: | ---: | --- |\n");
    for (result, figure) in figures(results) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            result.server,
            result.case,
            figure.name,
            number(figure.measured),
            number(figure.predicted),
            percent(figure),
            if figure.holds() { "yes" } else { "**no**" }
        );
    }
    out.push('\n');
    out.push_str(&sums(results));
    out
}

fn figures(results: &[CaseResult]) -> impl Iterator<Item = (&CaseResult, &Figure)> {
    results.iter().flat_map(|result| {
        let figures = match &result.outcome {
            Outcome::Judged(figures) => figures.as_slice(),
            Outcome::Skipped(_) => &[],
        };
        figures.iter().map(move |figure| (result, figure))
    })
}

fn sums(results: &[CaseResult]) -> String {
    let total = figures(results).count();
    let held = figures(results).filter(|(_, figure)| figure.holds()).count();
    let skipped = results.iter().filter(|r| matches!(r.outcome, Outcome::Skipped(_))).count();
    let cases = results.len() - skipped;
    format!("{held} of {total} figures of {cases} cases within tolerance; {skipped} cases not modelled yet\n")
}

fn number(value: f64) -> String {
    if value.abs() < 100.0 && value.fract() != 0.0 { format!("{value:.4}") } else { format!("{value:.0}") }
}

fn percent(figure: &Figure) -> String {
    if figure.measured == 0.0 { "–".to_owned() } else { format!("{:+.2} %", 100.0 * figure.relative_error()) }
}
