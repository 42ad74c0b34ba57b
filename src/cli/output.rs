//! Writing: standard output and error, and the result folder.

use super::exit::Failure;
use super::interrupt;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

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

/// Whether a stream takes colours: a terminal, and neither `--no-color` nor a `NO_COLOR` that is not empty.
pub(super) fn color(no_color: bool, stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !no_color && !unwanted && stream.is_terminal()
}

/// Finds out, before hours of work, whether files can be written into a folder; leaves nothing behind.
pub(super) fn check_folder(folder: &Path) -> Result<(), Failure> {
    let there = folder.ancestors().map(|path| if path == Path::new("") { Path::new(".") } else { path });
    let Some(there) = there.into_iter().find(|path| path.symlink_metadata().is_ok()) else { return Ok(()) };
    let failed = |error: io::Error| Failure::write(folder, error);
    if !there.is_dir() {
        return Err(failed(io::Error::other(format!("{} is no folder", there.display()))));
    }
    // The file goes as soon as it is dropped.
    temporary(there).map(drop).map_err(failed)
}

fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".capsim-").tempfile_in(folder)
}

/// Writes files into a folder: all under temporary names first, so that no half-written file ever has a final name.
/// Files of an earlier run named in `stale` and not written now are removed.
pub(super) fn write_folder(folder: &Path, files: &[(String, Vec<u8>)], stale: &[String]) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::write(folder, error))?;
    let mut staged: Vec<(NamedTempFile, PathBuf)> = Vec::with_capacity(files.len());
    for (name, bytes) in files {
        let target = folder.join(name);
        let file = stage(folder, bytes).map_err(|error| Failure::write(&target, error))?;
        staged.push((file, target));
        if interrupt::interrupted() {
            return Err(Failure::Interrupted);
        }
    }
    for (file, target) in staged {
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

/// Where the results of a scenario go unless the user says: `output/<scenario's name>`.
pub(super) fn default_folder(scenario: &Path) -> PathBuf {
    let stem = scenario.file_stem().filter(|_| scenario != Path::new("-"));
    Path::new("output").join(stem.unwrap_or_else(|| "stdin".as_ref()))
}

/// A complete file under a temporary name.
fn stage(folder: &Path, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut file = temporary(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_data()?;
    make_readable(file.path())?;
    Ok(file)
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
        check_folder(&folder.path().join("new/deep")).expect("could be made");
        assert!(check_folder(&folder.path().join("a/b")).is_err(), "a file is no folder");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1, "looking leaves nothing behind");
    }
}
