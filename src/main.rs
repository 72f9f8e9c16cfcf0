//! The command line, and later the plugin that Grafana starts.

fn main() -> std::process::ExitCode {
    lakeapm::cli::main()
}
