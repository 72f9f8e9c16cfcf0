//! The plugin where Grafana starts it, else the command line.

// A static binary has the C library's allocator, which costs an answer a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    keep_pages();
    match lakeapm::plugin::is_wanted() {
        true => lakeapm::plugin::main(),
        false => lakeapm::cli::main(),
    }
}

// Freed memory goes back to the system after half a second instead of after 10 ms: a question frees and takes the same
// pages a hundred times, and having them zeroed each time was 11 % of the benchmark's questions.
#[allow(unsafe_code)]
fn keep_pages() {
    // `mi_option_purge_delay` of mimalloc.h, in milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets one number in a table of options; an unknown option is ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 500) }
}
