// out[t, j] = scale · Σ_k x[t, k] · factor(k, j): x·Aᵀ, or dy·B.
//
// A workgroup makes eight columns j of four rows: its threads split k, and their sums are added up in a fixed order.

struct Params {
    first_x: u32,
    first_y: u32,
    submission: u32,
    rows: u32,
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
const ROWS = 4u;

// [lanes, rows and halves of the columns]
var<workgroup> partial: array<vec4<f32>, 512>;

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
    let row = (group.y + params.first_y) * ROWS;
    let j = (group.x + params.first_x) * 8u;
    let r0 = row * params.width;
    #repeat i in 1..4
    let r{i} = min(row + {i}u, params.rows - 1u) * params.width;
    #end
    let zero = vec4(0.0);
    var s = array(zero, zero, zero, zero, zero, zero, zero, zero);
    for (var k = lane; k < params.width; k += LANES) {
        let at = params.offset + k * params.step_k + j * params.step_j;
        let low = factor4(at);
        let high = factor4(at + 4u * params.step_j);
        #repeat i in 0..4
        let x{i} = x[r{i} + k];
        #end
        #repeat i in 0..4
        s[{2*i}] += x{i} * low;
        s[{2*i+1}] += x{i} * high;
        #end
    }
    for (var i = 0u; i < 8u; i++) {
        partial[lane * 8u + i] = s[i];
    }
    workgroupBarrier();
    // Eight threads a vector: each adds up eight lanes, then the first one their sums.
    let vector = lane % 8u;
    let share = lane / 8u;
    var sum = zero;
    for (var i = 0u; i < 8u; i++) {
        sum += partial[(8u * share + i) * 8u + vector];
    }
    workgroupBarrier();
    partial[lane] = sum;
    workgroupBarrier();
    let out_row = row + vector / 2u;
    if share != 0u || out_row >= params.rows {
        return;
    }
    for (var i = 1u; i < 8u; i++) {
        sum += partial[8u * i + vector];
    }
    let first = j + 4u * (vector % 2u);
    for (var i = 0u; i < 4u; i++) {
        if first + i < params.rank {
            out[out_row * params.rank + first + i] = params.scale * sum[i];
        }
    }
}
