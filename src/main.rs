//! The command `capsim`: see [`capsim::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    capsim::cli::main()
}
