// The guard chain: guard ← n where it finds n − 1.
//
// Every submission ends with this. One that a driver drops, or leaves midway, while it reports success, leaves the guard
// behind, and no later one catches up.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
}

@group(0) @binding(0) var<storage, read_write> guard: array<u32>;
// Not used, but bound: whatever wrote it has ended.
@group(0) @binding(1) var<storage, read_write> after: array<u32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(1)
fn main() {
    if guard[0] == params.submission - 1u {
        guard[0] = params.submission;
    }
}
