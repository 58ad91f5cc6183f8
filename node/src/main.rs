//! The program `rota`.

fn main() -> std::process::ExitCode {
    rota_node::cli::main()
}
