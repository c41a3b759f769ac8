// A small accelerator with the ports of a generated one: each of 5 scores is the dot product of a
// frame's 10 samples with signed weights of a ROM image. Groups of 5 samples, 3 a beat, so every
// second beat is half full. The number in fault.hex says which rule of the
// streams is broken, 0 none.
module accelerator (
    input  wire        clk,
    input  wire        rst,
    input  wire [23:0] s_axis_tdata,
    input  wire        s_axis_tvalid,
    output wire        s_axis_tready,
    output wire [47:0] m_axis_tdata,
    output wire        m_axis_tvalid,
    input  wire        m_axis_tready,
    output wire        m_axis_tlast
    /* taps
    ,output wire        tap_0_valid,
    output wire [23:0] tap_0_data
    taps */
);
    reg [3:0] faults [0:0];
    initial $readmemh("fault.hex", faults);
    wire [3:0] fault = faults[0];

    reg signed [7:0] weights [0:49];  // [score][sample]
    initial $readmemh("weights.hex", weights);

    // Accumulates beat by beat; the sums move to `scores` with the frame's last beat.
    reg signed [23:0] sums [0:4];
    reg signed [23:0] scores [0:4];
    reg [2:0] in_beat;
    reg [1:0] out_beat;
    reg full;
    reg extra;
    reg [1:0] flicker;

    wire taken = m_axis_tvalid & m_axis_tready;
    wire last_taken = taken & (out_beat == 2);
    wire last_in = in_beat == 3;
    assign s_axis_tready = ~full | ~last_in;
    wire accept = s_axis_tvalid & s_axis_tready;

    assign m_axis_tvalid = fault == 2 ? full & ~flicker[1] : full | extra;
    assign m_axis_tlast = fault == 3 ? out_beat == 1 : out_beat == 2;
    wire [23:0] wobble = fault == 4 ? {22'd0, flicker} : 24'd0;
    assign m_axis_tdata = out_beat == 0 ? {scores[1], scores[0] ^ wobble}
                        : out_beat == 1 ? {scores[3], scores[2]}
                        : {24'd0, scores[4]};

    // The sums with this beat's three products; the group's second beat has only two samples.
    reg signed [23:0] next [0:4];
    integer score, lane, sample;
    always @* begin
        for (score = 0; score < 5; score = score + 1) begin
            next[score] = in_beat == 0 ? 0 : sums[score];
            for (lane = 0; lane < 3; lane = lane + 1) begin
                sample = (in_beat[1] ? 5 : 0) + (in_beat[0] ? 3 : 0) + lane;
                if (!(in_beat[0] && lane == 2))
                    next[score] = next[score] + $signed({16'd0, s_axis_tdata[8*lane +: 8]})
                                * 24'(weights[10*score + sample]);
            end
        end
    end

    integer k;
    always @(posedge clk) begin
        flicker <= flicker + 1;
        if (accept) begin
            in_beat <= last_in ? 0 : in_beat + 1;
            for (k = 0; k < 5; k = k + 1) begin
                sums[k] <= next[k];
                if (last_in) scores[k] <= next[k];
            end
        end
        if (taken) out_beat <= out_beat == 2 ? 0 : out_beat + 1;
        if (accept & last_in & (fault != 5)) full <= 1;
        else if (last_taken) full <= 0;
        extra <= (fault == 6) & last_taken;
        if ((fault == 7) & last_taken) $fatal(1, "broken on purpose");
        if (rst) begin
            in_beat <= 0;
            if (fault != 8) out_beat <= 0;
            full <= 0;
            extra <= 0;
            flicker <= 0;
        end
    end
    /* taps
    assign tap_0_valid = accept;
    assign tap_0_data = s_axis_tdata;
    taps */
endmodule
