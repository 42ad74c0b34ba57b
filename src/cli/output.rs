//! Writing: standard output and error, and the result folder.

use super::exit::Failure;
use crate::scenario::ScenarioError;
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Columns of error messages.
const WIDTH: usize = 100;

/// Prints to standard output; a reader that went away is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::write(Path::new("-"), error)),
        _ => Ok(()),
    }
}

/// Prints to standard error.
pub(super) fn complain(text: &str) {
    // There is nowhere left to complain to when this fails.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Every problem of a scenario with its excerpt.
pub(super) fn problems(error: &ScenarioError) -> String {
    let color = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH);
    let mut text = String::new();
    for problem in error.problems() {
        if handler.render_report(&mut text, problem).is_err() {
            text.push_str(&problem.to_string());
        }
        text.push('\n');
    }
    if error.omitted() > 0 {
        text.push_str(&format!("… and {} more\n", error.omitted()));
    }
    text
}

/// Writes files into a folder: each under a temporary name first, so that no half-written file ever has a final name.
/// Files of an earlier run named in `stale` and not written now are removed.
pub(super) fn write_folder(folder: &Path, files: &[(String, Vec<u8>)], stale: &[String]) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::write(folder, error))?;
    for (name, bytes) in files {
        let target = folder.join(name);
        let failed = |error: io::Error| Failure::write(&target, error);
        let mut file = tempfile::Builder::new().prefix(".capsim-").tempfile_in(folder).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.as_file().sync_data().map_err(failed)?;
        make_readable(file.path()).map_err(failed)?;
        file.persist(&target).map_err(|error| Failure::write(&target, error.error))?;
    }
    for name in stale.iter().filter(|name| !files.iter().any(|(written, _)| written == *name)) {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Failure::write(&folder.join(name), error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Temporary files are made for their owner alone; results are for everybody.
#[cfg(unix)]
fn make_readable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_the_files_of_the_last_run_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str| (name.to_owned(), b"x".to_vec());
        let stale = ["a".to_owned(), "b".to_owned()];
        write_folder(folder.path(), &[file("a"), file("b")], &stale).expect("written");
        write_folder(folder.path(), &[file("a")], &stale).expect("written");
        let names: Vec<_> = fs::read_dir(folder.path()).expect("read").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(names, ["a"], "no temporary file is left either");
        assert!(write_folder(&folder.path().join("a"), &[file("c")], &[]).is_err(), "a file is no folder");
    }
}
