//! Ctrl-C: the work is asked to stop, and ended soon after when it does not look.
//!
//! Files are written under temporary names and renamed together.  While that lasts, which is not long, the process is
//! not ended, so that a result folder is that of one run.

use super::exit::Exit;
use super::output;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

/// Time that the work has to stop by itself.
const GRACE: Duration = Duration::from_millis(200);
/// Time between two looks at files that are being written.
const LOOK: Duration = Duration::from_millis(10);

const WORKING: u8 = 0;
const WRITING: u8 = 1;
const WRITTEN: u8 = 2;

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
static STAGE: AtomicU8 = AtomicU8::new(WORKING);

/// Begins to listen for Ctrl-C.
pub(super) fn listen() {
    // Without a handler Ctrl-C ends the process at once, which leaves no half-written file either.
    let _ = ctrlc::set_handler(|| {
        INTERRUPTED.store(true, Ordering::SeqCst);
        thread::sleep(GRACE);
        while STAGE.load(Ordering::SeqCst) == WRITING {
            thread::sleep(LOOK);
        }
        let what = if STAGE.load(Ordering::SeqCst) == WRITTEN { "results were written" } else { "nothing was written" };
        // Over the progress bar, where there is one.
        let clear = if std::io::stderr().is_terminal() { "\r\u{1b}[2K" } else { "" };
        output::complain(&format!("{clear}capsim: interrupted; {what}\n"));
        std::process::exit(Exit::Interrupted.status().into());
    });
}

/// Whether Ctrl-C was pressed.
pub(super) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// Runs `work`, which stops by itself when it is interrupted, and cleans up behind it: it is not ended half-way.
pub(super) fn to_the_end<T>(work: impl FnOnce() -> T) -> T {
    STAGE.store(WRITING, Ordering::SeqCst);
    let result = work();
    STAGE.store(WORKING, Ordering::SeqCst);
    result
}

/// Runs `write`, which is not ended half-way.
pub(super) fn while_writing<T, E>(write: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    STAGE.store(WRITING, Ordering::SeqCst);
    let result = write();
    STAGE.store(if result.is_ok() { WRITTEN } else { WORKING }, Ordering::SeqCst);
    result
}
