//! `capsim validate --plots`: a picture of each case, measured against predicted.

use super::exit::Failure;
use super::{interrupt, output};
use crate::report::plot::{self, Horizontal, Quantity, Vertical};
use crate::validate::{Along, CaseResult, Series, Unit};
use rayon::prelude::*;
use std::path::Path;

/// Files that are written at once.
const CHUNK: usize = 100;

/// Draws the cases that have something over time, keys or elements; says how many have not.
pub(super) fn write(results: &[CaseResult], folder: &Path) -> Result<(), Failure> {
    let (drawn, skipped): (Vec<&CaseResult>, Vec<&CaseResult>) =
        results.iter().partition(|result| result.series.iter().any(|series| series.measured.len() > 1));
    let names = names(&drawn);
    let files: Result<Vec<(String, Vec<u8>)>, Failure> =
        drawn.par_iter().zip(names).map(|(result, name)| Ok((format!("{name}.png"), picture(result)?))).collect();
    let files = files?;
    // As many files are open at once.
    interrupt::while_writing(|| files.chunks(CHUNK).try_for_each(|files| output::write_folder(folder, files, &[])))?;
    if !skipped.is_empty() {
        let count = skipped.len();
        output::complain(&format!("capsim: {count} cases have no timeline, curve or marks: not drawn\n"));
    }
    Ok(())
}

/// `case.server`; repetitions are numbered.
fn names(results: &[&CaseResult]) -> Vec<String> {
    let plain = |result: &CaseResult| -> String {
        let name = format!("{}.{}", result.case, result.server);
        // A name is one file of the folder.
        name.chars().map(|c| if c.is_alphanumeric() || "-_.+".contains(c) { c } else { '_' }).collect()
    };
    let mut names: Vec<String> = Vec::new();
    for (index, result) in results.iter().enumerate() {
        let name = plain(result);
        let before = results[..index].iter().filter(|other| plain(other) == name).count();
        names.push(if before > 0 { format!("{name}.run{}", before + 1) } else { name });
    }
    names
}

fn picture(result: &CaseResult) -> Result<Vec<u8>, Failure> {
    let series = result.series.iter().filter(|series| series.measured.len() > 1);
    let quantities: Vec<Quantity<'_>> = series.map(quantity).collect();
    let title = format!("{} on {}", result.case, result.server);
    let picture = plot::comparison(&title, &quantities).map_err(|error| Failure::Picture(error.to_string()))?;
    Ok(picture.png)
}

fn quantity(series: &Series) -> Quantity<'_> {
    Quantity {
        name: series.name,
        along: match series.along {
            Along::Time => Horizontal::Time,
            Along::Keys => Horizontal::Count("keys"),
            Along::Elements => Horizontal::Count("elements"),
        },
        unit: match series.unit {
            Unit::Bytes => Vertical::Bytes,
            Unit::Count => Vertical::Plain("count"),
            Unit::Percent => Vertical::Plain("%"),
        },
        measured: &series.measured,
        predicted: &series.predicted,
    }
}
