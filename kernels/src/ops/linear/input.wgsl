// Rows of the input, of a width that is a multiple of what the kernel reads at a time, or of any: values beyond it read as
// zero. Binding 2 of the kernel.

#if WIDE
@group(0) @binding(2) var<storage, read_write> input: array<vec4<f32>>;

// Values 4i to 4i + 3 of row `row`.
fn input4(row: u32, i: u32) -> vec4<f32> {
    return input[row * (params.input_width / 4u) + i];
}
#else
@group(0) @binding(2) var<storage, read_write> input: array<f32>;

fn input1(row: u32, i: u32) -> f32 {
    if i >= params.input_width {
        return 0.0;
    }
    return input[row * params.input_width + i];
}

// Values 4i to 4i + 3 of row `row`.
fn input4(row: u32, i: u32) -> vec4<f32> {
    return vec4(input1(row, 4u * i), input1(row, 4u * i + 1u), input1(row, 4u * i + 2u), input1(row, 4u * i + 3u));
}
#end
