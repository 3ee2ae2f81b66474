// out[t, j] = scale · Σ_k x[t, k] · factor(k, j): x·Aᵀ, or dy·B.
//
// A workgroup makes eight columns j of one row: its threads split k, and their sums are added up in a fixed order.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    // Values a row of x.
    width: u32,
    rank: u32,
    // factor(k, j) lies at offset + k · step_k + j · step_j.
    offset: u32,
    step_k: u32,
    step_j: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> factors: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(1) @binding(0) var<uniform> params: Params;

const LANES = 64u;
const RUN = 8u;

var<workgroup> low: array<vec4<f32>, LANES>;
var<workgroup> high: array<vec4<f32>, LANES>;

fn factor4(at: u32) -> vec4<f32> {
    return vec4(
        factors[at],
        factors[at + params.step_j],
        factors[at + 2u * params.step_j],
        factors[at + 3u * params.step_j],
    );
}

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = group.y + params.first_y;
    let j = (group.x + params.first_x) * 8u;
    var sum_low = vec4(0.0);
    var sum_high = vec4(0.0);
    for (var k = lane; k < params.width; k += LANES) {
        let value = x[row * params.width + k];
        let at = params.offset + k * params.step_k + j * params.step_j;
        sum_low += value * factor4(at);
        if j + 4u < params.rank {
            sum_high += value * factor4(at + 4u * params.step_j);
        }
    }
    low[lane] = sum_low;
    high[lane] = sum_high;
    workgroupBarrier();
    if lane < LANES / RUN {
        sum_low = vec4(0.0);
        sum_high = vec4(0.0);
        for (var i = 0u; i < RUN; i++) {
            sum_low += low[RUN * lane + i];
            sum_high += high[RUN * lane + i];
        }
    }
    workgroupBarrier();
    if lane < LANES / RUN {
        low[lane] = sum_low;
        high[lane] = sum_high;
    }
    workgroupBarrier();
    if lane < min(8u, params.rank - j) {
        var sum = 0.0;
        for (var i = 0u; i < LANES / RUN; i++) {
            if lane < 4u {
                sum += low[i][lane];
            } else {
                sum += high[i][lane - 4u];
            }
        }
        out[row * params.rank + j + lane] = params.scale * sum;
    }
}
