//! `rota devnet`: becomes the program `rota-devnet`, which lies beside this one.

use super::Done;
use crate::exit::{Exit, Failure};
use std::{ffi::OsString, os::unix::process::CommandExt, path::PathBuf, process::Command};

pub(super) fn exec(args: &[OsString]) -> Done {
    let here = std::env::current_exe().map_err(|e| Failure::new(Exit::Failed, e))?;
    let program = sibling(&here);
    if !program.exists() {
        return Err(Failure::new(Exit::Failed, format!("there is no {}", program.display()))
            .hint("build it with: cargo build -p rota-deploy"));
    }
    // Returns only if it failed.
    let error = Command::new(&program).args(args).exec();
    Err(Failure::new(Exit::Failed, format!("cannot start {}: {error}", program.display())))
}

fn sibling(here: &std::path::Path) -> PathBuf {
    here.with_file_name(format!("rota-devnet{}", std::env::consts::EXE_SUFFIX))
}
