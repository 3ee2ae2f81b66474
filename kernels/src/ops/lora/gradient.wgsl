// grads(c, j) += scale · Σ_t a[t, c] · b[t, j]: dB from dy and low, dA from x and dlow.
//
// A thread makes four c, 64 apart, and eight j, and sums over t in order.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Rows of a and b.
    rows: u32,
    // Values a row of a.
    width: u32,
    rank: u32,
    // grads(c, j) lies at offset + c · step_c + j · step_j.
    offset: u32,
    step_c: u32,
    step_j: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> a: array<f32>;
@group(0) @binding(1) var<storage, read_write> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> grads: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

fn add4(c: u32, j: u32, sums: vec4<f32>) {
    if c >= params.width {
        return;
    }
    let at = params.offset + c * params.step_c + j * params.step_j;
    for (var i = 0u; i < 4u; i++) {
        if j + i < params.rank {
            grads[at + i * params.step_j] += params.scale * sums[i];
        }
    }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = (group.x + params.first_x) * 256u + lane;
    let j = (group.y + params.first_y) * 8u;
    if c >= params.width {
        return;
    }
    let zero = vec4(0.0);
    var s = array(zero, zero, zero, zero, zero, zero, zero, zero);
    for (var t = 0u; t < params.rows; t++) {
        let at = t * params.rank + j;
        let low = vec4(b[at], b[at + 1u], b[at + 2u], b[at + 3u]);
        let high = vec4(b[at + 4u], b[at + 5u], b[at + 6u], b[at + 7u]);
        let from_a = t * params.width + c;
        let a0 = a[from_a];
        #repeat i in 1..4
        let a{i} = a[from_a + {64*i}u];
        #end
        #repeat i in 0..4
        s[{2*i}] += a{i} * low;
        s[{2*i+1}] += a{i} * high;
        #end
    }
    for (var i = 0u; i < 4u; i++) {
        add4(c + 64u * i, j, s[2u * i]);
        add4(c + 64u * i, j + 4u, s[2u * i + 1u]);
    }
}
