//! The plugin where Grafana starts it, else the command line.

// A static binary has the C library's allocator, which costs an answer a tenth of its time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    keep_pages();
    lakeapm::memory::returns_by(give_back);
    match lakeapm::plugin::is_wanted() {
        true => lakeapm::plugin::main(),
        false => lakeapm::cli::main(),
    }
}

// Gives all freed memory back to the system: the delay below ends only when memory is taken or freed again, which an idle
// process does not do.
#[allow(unsafe_code)]
fn give_back() {
    // SAFETY: has no preconditions; it looks through the allocator's own lists.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

// Freed memory goes back to the system half a minute after (three seconds times `arena_purge_mult`), not at once: a question
// frees and takes the same pages a hundred times, and so do the questions of one dashboard. Having the system clear them
// each time was a quarter of the benchmark's time where it has to ask a hypervisor for them.
#[allow(unsafe_code)]
fn keep_pages() {
    // `mi_option_purge_delay` of mimalloc.h, in milliseconds.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets one number in a table of options; an unknown option is ignored.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 3_000) }
}
