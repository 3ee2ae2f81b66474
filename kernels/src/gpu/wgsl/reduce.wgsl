// Sums and maxima over a workgroup of LANES threads, in a fixed order: runs of 16 first, then the runs.
// The kernel declares `const LANES`, a multiple of 16, at most 256.

var<workgroup> values: array<f32, LANES>;
var<workgroup> runs: array<f32, LANES / 16u>;

fn workgroup_sum(value: f32, lane: u32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    if lane < LANES / 16u {
        var sum = 0.0;
        for (var i = 0u; i < 16u; i++) {
            sum += values[16u * lane + i];
        }
        runs[lane] = sum;
    }
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < LANES / 16u; i++) {
        total += runs[i];
    }
    // Nobody may write `values` or `runs` again before everybody has read.
    workgroupBarrier();
    return total;
}

fn workgroup_max(value: f32, lane: u32) -> f32 {
    values[lane] = value;
    workgroupBarrier();
    if lane < LANES / 16u {
        var most = values[16u * lane];
        for (var i = 1u; i < 16u; i++) {
            most = max(most, values[16u * lane + i]);
        }
        runs[lane] = most;
    }
    workgroupBarrier();
    var most = runs[0];
    for (var i = 1u; i < LANES / 16u; i++) {
        most = max(most, runs[i]);
    }
    workgroupBarrier();
    return most;
}
