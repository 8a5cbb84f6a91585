//! `hookline`: the roles and the operator's verbs.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = hookline::Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return hookline::report(&anyhow::anyhow!("cannot start: {error}")),
    };
    match runtime.block_on(hookline::run(arguments)) {
        Ok(code) => code.into(),
        Err(error) => hookline::report(&error),
    }
}
