// Spans within a window: first ← max(first, last + 1 − window), and of what comes before a branch's own rows, as much as
// is left of the window. One thread a span.

// Numbers a span; 4: the last two are one past the keys that a query sees before its own, and the first of them.
override SPAN: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    len: u32,
    window: u32,
}

@group(0) @binding(0) var<storage, read_write> spans: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

// a − b, or 0 where that would be less.
fn less(a: u32, b: u32) -> u32 {
    return a - min(a, b);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let at = i * SPAN;
        let first = spans[at];
        let end = spans[at + 1u] + 1u;
        out[at] = max(first, less(end, params.window));
        out[at + 1u] = end - 1u;
        if SPAN == 4u {
            let shared_end = spans[at + 2u];
            let start = max(spans[at + 3u], less(shared_end, less(params.window, end - first)));
            out[at + 2u] = select(0u, shared_end, start < shared_end);
            out[at + 3u] = start;
        }
    }
}
