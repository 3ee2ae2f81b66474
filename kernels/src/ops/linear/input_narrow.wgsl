// Rows of the input of any width: values beyond it read as zero. Binding 2 of the kernel.

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
