// Runs of columns: value i·run + j of a row's part is value first + i·stride + j of the whole row. One thread a value of
// the part: it is taken from the whole, or put back.

override JOIN: u32;

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Values of the part.
    len: u32,
    part_width: u32,
    whole_width: u32,
    first: u32,
    run: u32,
    stride: u32,
}

@group(0) @binding(0) var<storage, read_write> whole: array<f32>;
@group(0) @binding(1) var<storage, read_write> part: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y + params.first_y) * 64u + lane;
    if i < params.len {
        let column = i % params.part_width;
        let within = params.first + column / params.run * params.stride + column % params.run;
        let at = i / params.part_width * params.whole_width + within;
        if JOIN == 1u {
            whole[at] = part[i];
        } else {
            part[i] = whole[at];
        }
    }
}
