//! Compiles anew when a migration changes.

fn main() {
    #[allow(clippy::print_stdout)] // this is how a build script speaks to cargo
    {
        println!("cargo:rerun-if-changed=migrations");
    }
}
