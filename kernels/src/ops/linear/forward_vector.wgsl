// out = residual + x·Wᵀ + bias + scale·low·Bᵀ for one row of x.
//
// Eight threads share eight rows of W; each takes every eighth run of 16 columns, and the first two add the sums up.
// Scale and bias are factored out of a run: Σ (s·q + b)·x = s·Σ q·x + b·Σ x.

const SHARE = 8u;
const RUN = 2u;

var<workgroup> partial: array<vec4<f32>, 128>;

// Four rows times 16 columns.
fn run_sum(quad: u32, b: u32, x: mat4x4<f32>, x_sum: f32) -> vec4<f32> {
    let a = affine(quad * params.groups + b / params.blocks_per_group);
    let w = raw_block(quad * params.blocks + b);
    var sum = w.low * x[0] + w.high * x[1];
    if b + 1u < params.blocks {
        let v = raw_block(quad * params.blocks + b + 1u);
        sum += v.low * x[2] + v.high * x[3];
    }
    return a.scale * sum + a.bias * x_sum;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_quad = 2u * ((group.x + params.first_x) * (64u / SHARE) + lane / SHARE);
    let share = lane % SHARE;
    var low_sum = vec4(0.0);
    var high_sum = vec4(0.0);
    if first_quad < params.quads {
        // The last quad may have no partner: it is computed twice.
        let second_quad = min(first_quad + 1u, params.quads - 1u);
        for (var b = share * RUN; b < params.blocks; b += SHARE * RUN) {
            var x = mat4x4(
                input4(params.input_row, 2u * b),
                input4(params.input_row, 2u * b + 1u),
                vec4(0.0),
                vec4(0.0),
            );
            if b + 1u < params.blocks {
                x[2] = input4(params.input_row, 2u * b + 2u);
                x[3] = input4(params.input_row, 2u * b + 3u);
            }
            let x_sum = dot(x[0] + x[1] + x[2] + x[3], vec4(1.0));
            low_sum += run_sum(first_quad, b, x, x_sum);
            high_sum += run_sum(second_quad, b, x, x_sum);
        }
    }
    partial[lane] = low_sum;
    partial[64u + lane] = high_sum;
    workgroupBarrier();
    let quad = first_quad + share;
    if share >= 2u || quad >= params.quads {
        return;
    }
    let first = 64u * share + lane - share;
    var sum = partial[first];
    for (var i = 1u; i < SHARE; i++) {
        sum += partial[first + i];
    }
    for (var j = 0u; j < params.rank; j++) {
        let factor = params.factor_scale * factor4(params.shard_row + 4u * quad, j);
        sum += low[params.input_row * params.rank + j] * factor;
    }
    store4(0u, 4u * quad, sum);
}
