//! The program `rota-devnet`.

fn main() -> std::process::ExitCode {
    rota_deploy::main()
}
