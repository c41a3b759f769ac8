// Drives one Verilated accelerator through a batch of frames, in one call per million cycles.
//
// Vxf is the model; design.h, which library.py generates, defines the geometry:
// IN_BYTES and OUT_BYTES per beat, IN_BEATS and OUT_BEATS per frame, and TAPS(X), which expands to
// X(index, bytes) for every pair of probe ports. If it defines EDGES, the greatest number for the
// port edges, there is such a port. runner.py's worker mirrors struct Batch.
//
// One cycle: with the clock low and everything settled, look at valid and ready, which decide the
// transfers; raise the clock; drive the next inputs; lower the clock. So inputs never change
// together with the edge that samples them.

#include "Vxf.cpp"
#include "design.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

namespace {

enum Status : int32_t {
    RUNNING = 0,
    DONE = 1,
    STUCK = 2,         // no transfer for idle_limit cycles
    WRONG_LAST = 3,    // tlast missing on a frame's last beat, or set on another
    VALID_DROPPED = 4, // tvalid fell before the beat was accepted
    BEAT_CHANGED = 5,  // tdata or tlast changed before the beat was accepted
    EXTRA_BEAT = 6,    // a beat after the last frame's last one
    FINISHED = 7,      // the Verilog called $finish or $stop
    WAVES_LOST = 8,    // the waveforms cannot be written; xnorflow_close says why
};

constexpr int RESET_CYCLES = 4;
constexpr int64_t DRAIN_CYCLES = 64; // how long an extra beat is waited for after the last frame
constexpr uint8_t IDLE_BYTE = 0xa5;  // what an idle input carries: it must not matter

} // namespace

struct Batch {
    const uint8_t *in;        // [frames, IN_BEATS, IN_BYTES]
    const uint8_t *edges;     // [frames], enabled edges, or null for all; read if EDGES is defined
    uint8_t *out;             // [frames, OUT_BEATS, OUT_BYTES]
    int64_t *first_in, *last_in, *first_out, *last_out; // [frames], cycles
    uint8_t *const *taps;     // one buffer [frames * beats, bytes] a tap, or null: record none
    const int64_t *tap_room;  // beats that each buffer holds
    int64_t *tap_beats;       // beats that passed each tap
    int64_t frames, idle_limit;
    uint64_t seed;
    uint32_t stall_in, stall_out; // probability of a stall in a cycle, times 2^32
    // Results so far:
    int64_t cycle, in_beats, out_beats, frames_out;
    int32_t status;
};

namespace {

template <int BYTES, class Port> void drive(Port &port, const uint8_t *from) {
    if constexpr (std::is_integral_v<Port>) {
        Port value = 0;
        std::memcpy(&value, from, BYTES);
        port = value;
    } else {
        port[(BYTES - 1) / 4] = 0;
        std::memcpy(port.data(), from, BYTES);
    }
}

template <int BYTES, class Port> void sample(uint8_t *to, const Port &port) {
    if constexpr (std::is_integral_v<Port>) {
        const Port value = port;
        std::memcpy(to, &value, BYTES);
    } else {
        std::memcpy(to, port.data(), BYTES);
    }
}

#if VM_TRACE
// Remembers the first failure. Verilator's own file would tell nobody that it was not opened, and
// deadlock over a full disk, because its fatal error flushes the very file that it holds locked.
class WavesFile final : public VerilatedVcdFile {
public:
    int error = 0;

    bool open(const std::string &name) override {
        fd = ::open(name.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0) fail();
        return fd >= 0;
    }

    void close() override {
        if (fd >= 0 && ::close(fd) != 0) fail();
        fd = -1;
    }

    ssize_t write(const char *from, ssize_t size) override {
        if (error) return size;
        const ssize_t written = ::write(fd, from, size);
        if (written > 0) return written;
        if (written < 0 && (errno == EINTR || errno == EAGAIN)) return written;
        if (written == 0) errno = EIO;
        fail();
        return size;
    }

private:
    void fail() {
        if (!error) error = errno;
    }

    int fd = -1;
};
#endif

class Bench {
public:
    Bench(Batch &batch, const char *waves) : b(batch), random(batch.seed * 2 + 1) {
        // Whatever the design does not reset starts with random bits, as in a real device.
        context.randReset(2);
        context.randSeed(static_cast<int>(batch.seed & 0x3fffffff) + 1);
        for (int i = 0; i < 8; i++) draw();
#if VM_TRACE
        if (waves) {
            context.traceEverOn(true);
            trace = std::make_unique<VerilatedVcdC>(&file);
        }
#endif
        top = std::make_unique<Vxf>(&context, "");
#if VM_TRACE
        if (trace) {
            top->trace(trace.get(), 99);
            trace->open(waves);
        }
#endif
        std::memset(idle, IDLE_BYTE, sizeof idle);
        top->rst = 1;
        top->s_axis_tvalid = 0;
        top->m_axis_tready = 0;
        drive<IN_BYTES>(top->s_axis_tdata, idle);
        step(0);
        for (int i = 0; i < RESET_CYCLES; i++) {
            step(1);
            step(0);
        }
        top->rst = 0;
        offer(b.in);
        top->m_axis_tready = !stall(b.stall_out);
        step(0);
    }

    ~Bench() { top->final(); }

    // Completes the waveforms; returns the errno of what went wrong with them, or 0.
    int finish() {
#if VM_TRACE
        if (trace) trace->close();
        return file.error;
#else
        return 0;
#endif
    }

    // Runs at most `cycles` more; batch.status says whether the batch is over.
    void run(int64_t cycles) {
        const int64_t until = b.cycle + cycles;
        int64_t cycle = b.cycle;
        while (b.status == RUNNING && cycle < until) {
            const bool accepted = top->s_axis_tvalid && top->s_axis_tready;
            if (accepted) {
                if (in_beat == 0) b.first_in[in_frame] = cycle;
                if (++in_beat == IN_BEATS) {
                    b.last_in[in_frame++] = cycle;
                    in_beat = 0;
                }
                b.in_beats++;
                last_transfer = cycle;
            }
            receive(cycle);
            if (b.taps) record();

            step(1);
            if (accepted || !top->s_axis_tvalid) offer(b.in + b.in_beats * IN_BYTES);
            top->m_axis_tready = !stall(b.stall_out);
            step(0);

#if VM_TRACE
            if (file.error && b.status == RUNNING) b.status = WAVES_LOST;
#endif
            cycle++;
            if (cycle - last_transfer > limit && b.status == RUNNING) b.status = over;
        }
        b.cycle = cycle;
        if (context.gotFinish() && b.status == RUNNING) b.status = FINISHED;
    }

private:
    // Looks at the output of this cycle: a beat is taken, held, or absent.
    void receive(int64_t cycle) {
        if (!top->m_axis_tvalid) {
            if (held) b.status = VALID_DROPPED;
            return;
        }
        uint8_t now[OUT_BYTES];
        sample<OUT_BYTES>(now, top->m_axis_tdata);
        const bool last = top->m_axis_tlast;
        if (held && (last != held_last || std::memcmp(now, held_beat, OUT_BYTES) != 0)) {
            b.status = BEAT_CHANGED;
            return;
        }
        if (b.frames_out == b.frames) {
            b.status = EXTRA_BEAT;
            return;
        }
        held = !top->m_axis_tready;
        if (held) {
            held_last = last;
            std::memcpy(held_beat, now, OUT_BYTES);
            return;
        }
        if (last != (out_beat == OUT_BEATS - 1)) {
            b.status = WRONG_LAST;
            return;
        }
        std::memcpy(b.out + b.out_beats * OUT_BYTES, now, OUT_BYTES);
        last_transfer = cycle;
        b.out_beats++;
        if (out_beat == 0) b.first_out[b.frames_out] = cycle;
        if (++out_beat == OUT_BEATS) {
            b.last_out[b.frames_out++] = cycle;
            out_beat = 0;
            if (b.frames_out == b.frames) {
                limit = DRAIN_CYCLES;
                over = DONE;
            }
        }
    }

    void record() {
#define RECORD(i, bytes)                                                                          \
    if (top->tap_##i##_valid) {                                                                   \
        const int64_t n = b.tap_beats[i]++;                                                       \
        if (n < b.tap_room[i]) sample<bytes>(b.taps[i] + n * (bytes), top->tap_##i##_data);       \
    }
        TAPS(RECORD)
#undef RECORD
    }

    // Puts the next word on the input, or leaves the input idle for a cycle.
    void offer(const uint8_t *word) {
        const bool valid = in_frame < b.frames && !stall(b.stall_in);
        top->s_axis_tvalid = valid;
        drive<IN_BYTES>(top->s_axis_tdata, valid ? word : idle);
#ifdef EDGES
        // Only a frame's first beat takes the port into account: then it changes until that beat.
        const bool counts = valid && in_beat == 0 && b.edges;
        top->edges = counts ? b.edges[in_frame] : b.edges ? other++ % (EDGES + 1) : 0;
#endif
    }

    bool stall(uint32_t probability) {
        return probability != 0 && static_cast<uint32_t>(draw() >> 32) < probability;
    }

    // xorshift64*: Marsaglia, "Xorshift RNGs" (2003), with Vigna's multiplier.
    uint64_t draw() {
        random ^= random >> 12;
        random ^= random << 25;
        random ^= random >> 27;
        return random * 0x2545f4914f6cdd1dull;
    }

    void step(int clk) {
        top->clk = clk;
        top->eval();
#if VM_TRACE
        if (trace) trace->dump(time);
        time += 5;
#endif
    }

    Batch &b;
    VerilatedContext context;
#if VM_TRACE
    WavesFile file;
    std::unique_ptr<VerilatedVcdC> trace;
    uint64_t time = 0;
#endif
    std::unique_ptr<Vxf> top;
    uint64_t random;
    int64_t in_frame = 0, in_beat = 0, out_beat = 0, last_transfer = 0;
    uint32_t other = 0; // what the port edges shows while it must not matter
    int64_t limit = b.idle_limit;
    Status over = STUCK; // what it means when `limit` cycles pass without a transfer
    bool held = false, held_last = false;
    uint8_t held_beat[OUT_BYTES];
    uint8_t idle[IN_BYTES];
};

} // namespace

extern "C" {

void *xnorflow_open(Batch *batch, const char *waves) { return new Bench(*batch, waves); }

void xnorflow_run(void *bench, int64_t cycles) { static_cast<Bench *>(bench)->run(cycles); }

// Returns the errno of what went wrong with the waveforms, or 0.
int xnorflow_close(void *bench) {
    const std::unique_ptr<Bench> last(static_cast<Bench *>(bench));
    return last->finish();
}
}
