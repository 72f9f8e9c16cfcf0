//! The command line, and later the plugin that Grafana starts.

// A static binary has the C library's allocator, which costs an answer a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    lakeapm::cli::main()
}
