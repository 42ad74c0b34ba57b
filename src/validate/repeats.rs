//! Cases that were measured more than once: how far the repetitions are apart is what no model can beat.

use super::figure::distance;
use super::judge::CaseResult;
use super::measurement::Measurement;

/// A tolerance is never below so many times the spread of the repetitions.
const SPREADS: f64 = 2.0;

/// Widens the tolerances of cases that were measured more than once: same server, same case, whatever file.
pub(super) fn widen(measurements: &[Measurement], results: &mut [CaseResult]) {
    for members in groups(measurements, results) {
        // Spreads first: they are of what was measured, which no tolerance changes.
        let wider: Vec<Vec<f64>> = members.iter().map(|&index| spreads(results, &members, index)).collect();
        for (&index, spreads) in members.iter().zip(wider) {
            for (figure, spread) in results[index].figures_mut().iter_mut().zip(spreads) {
                figure.tolerance = figure.tolerance.max(SPREADS * spread);
            }
        }
    }
}

/// Places of the repetitions of each case that has some, among those that were judged.
fn groups(measurements: &[Measurement], results: &[CaseResult]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (index, measurement) in measurements.iter().enumerate() {
        if !results[index].judged() {
            continue;
        }
        let same = |group: &&mut Vec<usize>| {
            let first = &measurements[group[0]];
            first.server == measurement.server && first.case == measurement.case
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(index),
            None => groups.push(vec![index]),
        }
    }
    groups.retain(|group| group.len() > 1);
    groups
}

/// The spread of each figure of a result among the repetitions.
fn spreads(results: &[CaseResult], members: &[usize], of: usize) -> Vec<f64> {
    let spread = |figure: &super::Figure| {
        let series = results[of].series.iter().find(|series| series.error_name() == figure.name);
        if let Some(series) = series {
            // The error of a series: the largest mean distance between two repetitions.
            let others = || members.iter().flat_map(|&m| results[m].series.iter().filter(|s| s.name == series.name));
            let pairs = others().flat_map(|a| others().map(move |b| distance(&a.measured, &b.measured)));
            return pairs.fold(0.0, f64::max);
        }
        let same = members.iter().flat_map(|&m| results[m].figures().iter().filter(|f| f.name == figure.name));
        let (low, high) =
            same.fold((figure.measured, figure.measured), |(low, high), f| (low.min(f.measured), high.max(f.measured)));
        high - low
    };
    results[of].figures().iter().map(spread).collect()
}

#[cfg(test)]
mod tests {
    use super::super::judge::Outcome;
    use super::*;
    use crate::validate::Figure;

    fn measured(server: &str, n: u64, value: f64) -> (Measurement, CaseResult) {
        let line = format!(r#"{{"server": "{server}", "case": {{"name": "c", "kind": "cow", "n": {n}}}}}"#);
        let measurement = super::super::measurement::parse("m", &line).expect("a measurement").remove(0);
        let figure =
            Figure { name: "x".to_owned(), measured: value, predicted: 100.0, tolerance: 5.0, curve_point: false };
        let result = CaseResult {
            server: server.to_owned(),
            case: "c".to_owned(),
            kind: "cow".to_owned(),
            outcome: Outcome::Judged(vec![figure]),
            series: Vec::new(),
        };
        (measurement, result)
    }

    #[test]
    fn only_repetitions_of_the_same_case_on_the_same_server_widen_a_tolerance() {
        let given =
            [measured("a", 1, 100.0), measured("b", 1, 300.0), measured("a", 2, 900.0), measured("a", 1, 110.0)];
        let (measurements, mut results): (Vec<Measurement>, Vec<CaseResult>) = given.into_iter().unzip();
        widen(&measurements, &mut results);
        let tolerances: Vec<f64> = results.iter().map(|result| result.figures()[0].tolerance).collect();
        assert_eq!(tolerances, [20.0, 5.0, 5.0, 20.0]);
    }
}
