// Pumps bytes through a Verilated accelerator with its host link (xnorflow_hw/link/linked.py).
//
// Vxf is the model; design.h, which library.py generates, defines DIVISOR: 0 for byte streams, else
// the clock cycles per bit of a UART, whose wires are then driven and read bit by bit.
// board_worker.py mirrors struct Pump.
//
// One cycle: with the clock low and everything settled, look at the outputs; raise the clock; drive
// the next inputs; lower the clock.

#include "Vxf.cpp"
#include "design.h"
#include "verilated.h"

#include <cstdint>
#include <memory>

namespace {
constexpr int RESET_CYCLES = 4;
}

struct Pump {
    const uint8_t *in; // bytes to the board
    uint8_t *out;      // bytes from it
    int64_t in_size, out_room;
    // Results so far:
    int64_t in_used, out_used;
    int64_t cycle; // cycles since power-up
    int64_t quiet; // cycles since a byte was taken or given
};

namespace {

#if DIVISOR
// The other end of the wires: 8 data bits, lowest first, one stop bit.
class Wires {
public:
    explicit Wires(Vxf &top) : top(top) { top.rx = 1, top.cts = 1; }

    // Looks at this cycle's outputs; true if a byte is complete.
    bool receive(uint8_t &byte) {
        if (!receiving) {
            if (top.tx) return false;
            receiving = true;
            timer = DIVISOR / 2;
            bits = 0;
            word = 0;
        } else if (timer-- == 0) {
            timer = DIVISOR - 1;
            word |= top.tx << bits;
            if (++bits == 10) {
                receiving = false;
                byte = word >> 1;
                return (word & 0x201) == 0x200;
            }
        }
        return false;
    }

    bool ready() const { return left == 0; }

    void send(uint8_t byte) {
        shift = byte << 1 | 0x200;
        left = 10 * DIVISOR;
    }

    void drive() {
        top.rx = left ? shift >> (10 - (left + DIVISOR - 1) / DIVISOR) & 1 : 1;
        if (left) left--;
    }

    bool busy() const { return receiving || left; }

private:
    Vxf &top;
    bool receiving = false;
    int timer = 0, bits = 0, left = 0;
    unsigned word = 0, shift = 0;
};
#endif

class Bench {
public:
    explicit Bench(uint64_t seed) {
        // Whatever the design does not reset starts with random bits, as in a real device.
        context.randReset(2);
        context.randSeed(static_cast<int>(seed & 0x3fffffff) + 1);
        top = std::make_unique<Vxf>(&context, "");
#if DIVISOR
        wires = std::make_unique<Wires>(*top);
#else
        top->rx_valid = 0;
        top->tx_ready = 1;
#endif
        reset();
    }

    ~Bench() { top->final(); }

    void reset() {
        top->rst = 1;
        step(0);
        for (int i = 0; i < RESET_CYCLES; i++) {
            step(1);
            step(0);
        }
        top->rst = 0;
        step(0);
    }

    // Runs until all input is taken, the output is full, or so many cycles are over.
    void run(Pump &p, int64_t cycles) {
        const int64_t until = p.cycle + cycles;
        while (p.cycle < until && p.out_used < p.out_room) {
            bool moved = false;
#if DIVISOR
            moved = wires->receive(p.out[p.out_used]);
            if (moved) p.out_used++;
            const bool more = p.in_used < p.in_size;
            if (wires->ready()) {
                if (more) {
                    wires->send(p.in[p.in_used++]);
                } else if (p.in_size) {
                    return;
                }
            }
            moved |= wires->busy();
            step(1);
            wires->drive();
            step(0);
#else
            if (top->tx_valid) {
                p.out[p.out_used++] = top->tx_data;
                moved = true;
            }
            if (top->rx_valid && top->rx_ready) {
                moved = true;
                p.in_used++;
            }
            const bool more = p.in_used < p.in_size;
            step(1);
            top->rx_valid = more;
            top->rx_data = more ? p.in[p.in_used] : 0xa5;
            step(0);
#endif
            p.quiet = moved ? 0 : p.quiet + 1;
            p.cycle++;
#if !DIVISOR
            if (p.in_size && !more) return;
#endif
        }
    }

private:
    void step(int clk) {
        top->clk = clk;
        top->eval();
    }

    VerilatedContext context;
    std::unique_ptr<Vxf> top;
#if DIVISOR
    std::unique_ptr<Wires> wires;
#endif
};

} // namespace

extern "C" {

void *xnorflow_open(uint64_t seed) { return new Bench(seed); }

void xnorflow_run(void *bench, Pump *pump, int64_t cycles) {
    static_cast<Bench *>(bench)->run(*pump, cycles);
}

void xnorflow_reset(void *bench) { static_cast<Bench *>(bench)->reset(); }

void xnorflow_close(void *bench) { delete static_cast<Bench *>(bench); }
}
