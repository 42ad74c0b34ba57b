//! The accuracy table, as text and as Markdown.

use super::figure::Figure;
use super::judge::{CaseResult, Outcome};
use crate::analysis::Spread;
use std::fmt::Write as _;

/// The table for a terminal: a line for each figure, then the summary and the sums.
#[must_use]
pub fn text(results: &[CaseResult]) -> String {
    let mut out = String::new();
    for result in results {
        for figure in result.figures() {
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
    }
    for row in summary(results) {
        let [server, kind, cases, figures, held, median, p95, worst] = row.cells();
        let _ = writeln!(
            out,
            "     {server:<22} {kind:<10} {cases:>3} cases {figures:>4} figures, {held:>4} within tolerance; \
             error: median {median}, p95 {p95}, worst {worst}"
        );
    }
    out.push_str(&sums(results));
    out
}

/// The table for a document: the points of a curve as one row that shows the worst; then the summary and the sums.
#[must_use]
pub fn markdown(results: &[CaseResult]) -> String {
    let mut out = String::from("| server | case | figure | measured | predicted | error | within |\n");
    out.push_str("| --- | --- | --- | ---: | ---: | ---: | --- |\n");
    for result in results {
        let (points, single): (Vec<&Figure>, Vec<&Figure>) = result.figures().iter().partition(|f| f.curve_point);
        let worst = points.iter().copied().max_by(|a, b| a.by_tolerance().total_cmp(&b.by_tolerance()));
        // What has to be equal, and is, makes no row.
        let listed =
            single.into_iter().filter(|figure| !(figure.tolerance < 1.0 && figure.measured == figure.predicted));
        let named = listed.map(|figure| (figure, figure.name.clone()));
        let worst = worst.map(|figure| (figure, format!("{}, the worst of {} points", figure.name, points.len())));
        for (figure, name) in named.chain(worst) {
            let _ = writeln!(
                out,
                "| {} | {} | {name} | {} | {} | {} | {} |",
                result.server,
                result.case,
                number(figure.measured),
                number(figure.predicted),
                percent(figure),
                if figure.holds() { "yes" } else { "**no**" }
            );
        }
    }
    out.push_str("\n| server | kind | cases | figures | within | median error | p95 error | worst error |\n");
    out.push_str("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    for row in summary(results) {
        let _ = writeln!(out, "| {} |", row.cells().join(" | "));
    }
    out.push('\n');
    out.push_str(&sums(results));
    out
}

/// The accuracy on one server and kind of case.
#[derive(Debug, Clone, PartialEq)]
struct SummaryRow<'a> {
    server: &'a str,
    kind: &'a str,
    cases: usize,
    figures: usize,
    /// Figures within their tolerance.
    held: usize,
    /// Errors without their sign, as shares of the measured figures that are not zero.
    errors: Spread,
}

impl SummaryRow<'_> {
    /// Server, kind, cases, figures, those that hold; median, 95th percentile and worst error.
    fn cells(&self) -> [String; 8] {
        let Spread { p50, p95, max } = self.errors;
        let [cases, figures, held] = [self.cases, self.figures, self.held].map(|count| count.to_string());
        let [median, p95, worst] = [p50, p95, max].map(share);
        [self.server.to_owned(), self.kind.to_owned(), cases, figures, held, median, p95, worst]
    }
}

/// A row for each server and kind that was judged, in the order in which they come first.
fn summary(results: &[CaseResult]) -> Vec<SummaryRow<'_>> {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for result in results.iter().filter(|result| result.judged()) {
        let name = (result.server.as_str(), result.kind.as_str());
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let row = |(server, kind)| {
        let of_it = || results.iter().filter(move |r| r.judged() && r.server == server && r.kind == kind);
        let figures = || of_it().flat_map(CaseResult::figures);
        let errors = figures().filter(|f| f.measured != 0.0).map(|f| f.relative_error().abs());
        SummaryRow {
            server,
            kind,
            cases: of_it().count(),
            figures: figures().count(),
            held: figures().filter(|figure| figure.holds()).count(),
            errors: Spread::of(errors),
        }
    };
    names.into_iter().map(row).collect()
}

fn sums(results: &[CaseResult]) -> String {
    let figures = || results.iter().flat_map(CaseResult::figures);
    let total = figures().count();
    let held = figures().filter(|figure| figure.holds()).count();
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

fn share(error: f64) -> String {
    format!("{:.2} %", 100.0 * error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, predicted: f64, curve_point: bool) -> Figure {
        Figure { name: name.to_owned(), measured: 100.0, predicted, tolerance: 2.0, curve_point }
    }

    fn result(server: &str, case: &str, kind: &str, figures: Vec<Figure>) -> CaseResult {
        let outcome =
            if figures.is_empty() { Outcome::Skipped("not modelled yet".to_owned()) } else { Outcome::Judged(figures) };
        CaseResult {
            server: server.to_owned(),
            case: case.to_owned(),
            kind: kind.to_owned(),
            outcome,
            series: Vec::new(),
        }
    }

    fn results() -> Vec<CaseResult> {
        let zero = Figure { measured: 0.0, ..figure("oom_errors", 1.0, false) };
        vec![
            result("a", "plain", "static", vec![figure("delta", 101.0, false)]),
            result("a", "curve", "static", vec![figure("at 1", 99.5, true), figure("at 2", 97.0, true)]),
            result("b", "evict", "cache", vec![figure("keys", 100.0, false), zero]),
            result("b", "hash", "grow", vec![]),
        ]
    }

    #[test]
    fn the_summary_has_a_row_for_each_server_and_kind_that_was_judged() {
        let results = results();
        let rows = summary(&results);
        assert_eq!(rows.iter().map(|r| (r.server, r.kind)).collect::<Vec<_>>(), [("a", "static"), ("b", "cache")]);
        assert_eq!((rows[0].cases, rows[0].figures, rows[0].held), (2, 3, 2));
        // Errors of 0.5, 1 and 3 %.
        let Spread { p50, p95, max } = rows[0].errors;
        assert!((p50 - 0.01).abs() < 1e-9 && (p95 - 0.03).abs() < 1e-9 && (max - 0.03).abs() < 1e-9);
        // A figure measured as zero has no relative error.
        assert_eq!((rows[1].figures, rows[1].errors.max), (2, 0.0));
    }

    #[test]
    fn both_formats_end_with_the_summary_and_one_line_of_sums() {
        let results = results();
        let sums = "4 of 5 figures of 3 cases within tolerance; 1 cases not modelled yet";
        let text = text(&results);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5 + 2 + 1, "figures, summary, sums");
        assert!(lines[5].contains("median 1.00 %, p95 3.00 %, worst 3.00 %"), "{text}");
        assert_eq!(lines[7], sums);
        let markdown = markdown(&results);
        let lines: Vec<&str> = markdown.lines().collect();
        assert!(lines.contains(&"| a | static | 2 | 3 | 2 | 1.00 % | 3.00 % | 3.00 % |"), "{markdown}");
        assert_eq!(lines.last(), Some(&sums));
    }

    #[test]
    fn a_document_shows_the_worst_point_of_a_curve_alone() {
        let markdown = markdown(&results());
        assert!(markdown.contains("| a | curve | at 2, the worst of 2 points | 100 | 97 | -3.00 % | **no** |"));
        assert!(!markdown.contains("at 1"), "{markdown}");
    }
}
