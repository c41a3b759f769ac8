// Layers of an integer network on packed bits. A program is a table of steps, rows of integers that
// step_table.py writes; kinds and fields are numbered as there.
//
// A map is packed (per pixel and plane of its codes, bits of channels in words of 64; bits beyond the
// channels are 0) or wide (int32 values, channel fastest). Every frame of a map starts at a word.
#include <cstdint>
#include <cstring>
#include <vector>
#ifdef __AVX2__
#include <immintrin.h>
#endif

using u64 = uint64_t;
using i64 = int64_t;
typedef float v8 __attribute__((vector_size(32)));
typedef int32_t i8x __attribute__((vector_size(32)));

enum Kind { TABLE_BITS, TABLE_WIDE, SAMPLES, CONV_BITS, CONV_WIDE, THRESHOLD, MAX_BITS, MAX_WIDE,
            SUM_POOL, FLATTEN_BITS, UNPACK, RESCALE };
enum Field { KIND, H, W, C, OH, OW, OC, KH, KW, SY, SX, DY, DX, TOP, LEFT, GROUPS, PIN, POUT, LO, STEP,
             LEVELS, WPLANES, PER_SUM, PER_COUNT, P0, P1, P2, P3, IN_WORDS, OUT_WORDS, PAD, FIELDS };

static const int BATCH = 16;  // Frames that go through a layer together.
static const int PIXELS = 4;  // Output pixels that share a load of the weights.

static inline int words(i64 bits) { return int((bits + 63) / 64); }

static inline void copy_bits(u64 *to, i64 at, const u64 *from, i64 first, i64 count) {
    while (count > 0) {
        int n = count < 64 ? int(count) : 64, s = first & 63, d = at & 63;
        u64 v = from[first >> 6] >> s;
        if (s && s + n > 64) v |= from[(first >> 6) + 1] << (64 - s);
        if (n < 64) v &= (u64(1) << n) - 1;
        to[at >> 6] |= v << d;
        if (d && d + n > 64) to[(at >> 6) + 1] |= v >> (64 - d);
        at += n, first += n, count -= n;
    }
}

// Compare values of consecutive channels with a threshold each: one bit per channel, in words.
static inline void at_least(const int32_t *v, const int32_t *t, int n, u64 *out) {
    for (int o = 0; o < n; o += 64) {
        int m = n - o < 64 ? n - o : 64, k = 0;
        u64 bits = 0;
#ifdef __AVX2__
        for (; k + 8 <= m; k += 8) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(v + o + k));
            __m256i b = _mm256_loadu_si256((const __m256i *)(t + o + k));
            int less = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(b, a)));
            bits |= u64(less ^ 255) << k;
        }
#endif
        for (; k < m; k++) bits |= u64(v[o + k] >= t[o + k]) << k;
        out[o / 64] = bits;
    }
}

// Thresholds of one pixel, [levels - 1][channels]: to codes in planes, or to values.
static void quantise(const i64 *f, const int32_t *v, void *out) {
    const int32_t *t = (const int32_t *)f[P3];
    int n = int(f[OC]), cw = words(n);
    if (f[POUT] == 0) {
        int32_t *to = (int32_t *)out;
        for (int o = 0; o < n; o++) {
            int code = 0;
            for (i64 l = 0; l < f[LEVELS]; l++) code += v[o] >= t[l * n + o];
            to[o] = int32_t(f[LO] + f[STEP] * code);
        }
        return;
    }
    u64 *to = (u64 *)out;
    if (f[POUT] == 1 && f[LEVELS] == 1) return at_least(v, t, n, to);
    std::memset(to, 0, 8 * f[POUT] * cw);
    std::vector<u64> one(cw);
    for (i64 l = 0; l < f[LEVELS]; l++) {  // Add a bit to the code, plane by plane.
        at_least(v, t + l * n, n, one.data());
        for (int k = 0; k < cw; k++) {
            u64 carry = one[k];
            for (i64 p = 0; p < f[POUT]; p++) {
                u64 was = to[p * cw + k];
                to[p * cw + k] = was ^ carry;
                carry &= was;
            }
        }
    }
}

template <class T> static void samples(const i64 *f, const T *x, u64 *out) {
    const int32_t *table = (const int32_t *)f[P0];
    i64 pixels = f[H] * f[W], c = f[C], own = f[PAD] ? f[LEVELS] : 0;
    if (f[KIND] != TABLE_BITS) {
        int32_t *to = (int32_t *)out;
        if (f[KIND] == SAMPLES)
            for (i64 k = 0; k < pixels * c; k++) to[k] = int32_t(f[LO] + f[STEP] * x[k]);
        else
            for (i64 p = 0; p < pixels; p++)
                for (i64 k = 0; k < c; k++) to[p * c + k] = table[k * own + x[p * c + k]];
        return;
    }
    int cw = words(c);
    for (i64 p = 0; p < pixels; p++, x += c)
        for (int k = 0; k < cw; k++) {
            i64 m = c - 64 * k < 64 ? c - 64 * k : 64;
            u64 low = 0, high = 0;
            const int32_t *row = table + 64 * k * own;
            for (i64 b = 0; b < m; b++, row += own) {
                u64 code = u64(row[x[64 * k + b]]);
                low |= (code & 1) << b;
                high |= (code >> 1) << b;
            }
            out[(p * f[POUT]) * cw + k] = low;
            if (f[POUT] == 2) out[(p * 2 + 1) * cw + k] = high;
        }
}

// Visit the taps of a window that lie on the map: visit(tap, pixel).
template <class V> static inline void taps(const i64 *f, i64 r, i64 c, V visit) {
    for (i64 a = 0; a < f[KH]; a++) {
        i64 y = r * f[SY] - f[TOP] + a * f[DY];
        if (y < 0 || y >= f[H]) continue;
        for (i64 b = 0; b < f[KW]; b++) {
            i64 x = c * f[SX] - f[LEFT] + b * f[DX];
            if (x >= 0 && x < f[W]) visit(a * f[KW] + b, y * f[W] + x);
        }
    }
}

// The same for runs of taps side by side whose pixels are neighbours: visit(tap, pixel, taps).
template <class V> static inline void runs(const i64 *f, i64 r, i64 c, V visit) {
    if (f[DX] != 1) return taps(f, r, c, [&](i64 tap, i64 at) { visit(tap, at, 1); });
    i64 x = c * f[SX] - f[LEFT], first = x < 0 ? -x : 0, end = f[W] - x < f[KW] ? f[W] - x : f[KW];
    if (first >= end) return;
    for (i64 a = 0; a < f[KH]; a++) {
        i64 y = r * f[SY] - f[TOP] + a * f[DY];
        if (y >= 0 && y < f[H]) visit(a * f[KW] + first, y * f[W] + x + first, end - first);
    }
}

// Leave the sums of one pixel as values, or quantised.
static inline void finish(const i64 *f, const int32_t *v, void *frame, i64 pixel) {
    if (!f[P3]) std::memcpy((int32_t *)frame + pixel * f[OC], v, 4 * f[OC]);
    else if (f[POUT]) quantise(f, v, (u64 *)frame + pixel * f[POUT] * words(f[OC]));
    else quantise(f, v, (int32_t *)frame + pixel * f[OC]);
}

// Counts of ones in `in AND weights`, of four patches and four outputs, whose words lie side by side.
static inline void count(const u64 *const p[PIXELS], const u64 *w, int n, u64 s[PIXELS][4]) {
#if defined(__AVX512VPOPCNTDQ__) && defined(__AVX512VL__)
    __m256i total[PIXELS] = {};
    for (int k = 0; k < n; k++) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(w + 4 * k));
        for (int q = 0; q < PIXELS; q++) {
            __m256i x = _mm256_and_si256(v, _mm256_set1_epi64x(i64(p[q][k])));
            total[q] = _mm256_add_epi64(total[q], _mm256_popcnt_epi64(x));
        }
    }
    for (int q = 0; q < PIXELS; q++) _mm256_storeu_si256((__m256i *)s[q], total[q]);
#elif defined(__AVX2__)
    const __m256i low = _mm256_set1_epi8(15);
    const __m256i ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                          0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    __m256i total[PIXELS] = {};
    for (int k = 0; k < n;) {
        int end = n - k < 31 ? n : k + 31;  // A byte holds the ones of 31 bytes.
        __m256i bytes[PIXELS] = {};
        for (; k < end; k++) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(w + 4 * k));
            for (int q = 0; q < PIXELS; q++) {
                __m256i x = _mm256_and_si256(v, _mm256_set1_epi64x(i64(p[q][k])));
                __m256i y = _mm256_and_si256(_mm256_srli_epi16(x, 4), low);
                x = _mm256_shuffle_epi8(ones, _mm256_and_si256(x, low));
                x = _mm256_add_epi8(x, _mm256_shuffle_epi8(ones, y));
                bytes[q] = _mm256_add_epi8(bytes[q], x);
            }
        }
        for (int q = 0; q < PIXELS; q++)
            total[q] = _mm256_add_epi64(total[q], _mm256_sad_epu8(bytes[q], _mm256_setzero_si256()));
    }
    for (int q = 0; q < PIXELS; q++) _mm256_storeu_si256((__m256i *)s[q], total[q]);
#else
    for (int q = 0; q < PIXELS; q++)
        for (int o = 0; o < 4; o++) {
            u64 found = 0;
            for (int k = 0; k < n; k++) found += u64(__builtin_popcountll(p[q][k] & w[4 * k + o]));
            s[q][o] = found;
        }
#endif
}

// The sum of products of values lo + step * code is, with counts of ones per pair of planes,
//   constant[border class][output] + PER_SUM * (sum of input codes) + PER_COUNT * (sum of products of codes).
static void conv_bits(const i64 *f, const u64 *in, u64 *out, int n) {
    i64 groups = f[GROUPS], cg = f[C] / groups, og = f[OC] / groups, bits = f[KH] * f[KW] * cg;
    int kw = words(bits), pin = int(f[PIN]), wp = int(f[WPLANES]), cw = words(f[C]);
    i64 per = f[OH] * f[OW], total = per * n;
    const u64 *weights = (const u64 *)f[P0];
    const int32_t *constants = (const int32_t *)f[P1], *classes = (const int32_t *)f[P2];
    std::vector<u64> patches(size_t(PIXELS) * pin * kw);
    std::vector<int32_t> sums(size_t(PIXELS) * f[OC]);
    bool whole = cg % 64 == 0;
    for (i64 first = 0; first < total; first += PIXELS) {
        int m = total - first < PIXELS ? int(total - first) : PIXELS;
        for (i64 g = 0; g < groups; g++) {
            std::memset(patches.data(), 0, 8 * patches.size());
            int32_t ones[PIXELS] = {};
            for (int q = 0; q < m; q++) {
                i64 frame = (first + q) / per, pixel = (first + q) % per;
                u64 *to = patches.data() + q * pin * kw;
                const u64 *from = in + frame * f[IN_WORDS];
                taps(f, pixel / f[OW], pixel % f[OW], [&](i64 tap, i64 at) {
                    for (int i = 0; i < pin; i++) {
                        const u64 *s = from + (at * pin + i) * cw;
                        if (whole) std::memcpy(to + i * kw + tap * (cg / 64), s + g * (cg / 64), cg / 8);
                        else copy_bits(to + i * kw, tap * cg, s, g * cg, cg);
                    }
                });
                if (f[PER_SUM])
                    for (int i = 0; i < pin; i++) {
                        int one = 0;
                        for (int k = 0; k < kw; k++) one += __builtin_popcountll(to[i * kw + k]);
                        ones[q] += one << i;
                    }
            }
            const u64 *w = weights + g * ((og + 3) / 4) * wp * kw * 4;
            for (i64 o = 0; o < og; o += 4) {
                i64 s[PIXELS][4] = {};
                for (int j = 0; j < wp; j++, w += 4 * kw)
                    for (int i = 0; i < pin; i++) {
                        const u64 *p[PIXELS];
                        u64 c[PIXELS][4];
                        for (int q = 0; q < PIXELS; q++) p[q] = patches.data() + (q * pin + i) * kw;
                        count(p, w, kw, c);
                        for (int q = 0; q < PIXELS; q++)
                            for (int e = 0; e < 4; e++) s[q][e] += i64(c[q][e] << (i + j));
                    }
                for (int q = 0; q < m; q++)
                    for (i64 e = 0; e < 4 && o + e < og; e++)
                        sums[q * f[OC] + g * og + o + e] =
                            int32_t(f[PER_SUM] * ones[q] + f[PER_COUNT] * s[q][e]);
            }
        }
        for (int q = 0; q < m; q++) {
            i64 frame = (first + q) / per, pixel = (first + q) % per;
            const int32_t *own = constants + classes[pixel] * f[OC];
            int32_t *v = sums.data() + q * f[OC];
            for (i64 o = 0; o < f[OC]; o++) v[o] += own[o];
            finish(f, v, out + frame * f[OUT_WORDS], pixel);
        }
    }
}

// Products in float32, where step_table.py has shown that every partial sum is exact.
static void conv_wide(const i64 *f, const u64 *in, u64 *out, int n) {
    i64 groups = f[GROUPS], cg = f[C] / groups, og = f[OC] / groups, k = f[KH] * f[KW] * cg;
    i64 padded = (og + 15) / 16 * 16, per = f[OH] * f[OW];
    const float *weights = (const float *)f[P0];
    i64 total = per * n, room = f[OC] + 15;  // Whole vectors are written, also of the last group.
    std::vector<float> patches(size_t(PIXELS) * k);
    std::vector<int32_t> sums(size_t(PIXELS) * room);
    for (i64 first = 0; first < total; first += PIXELS) {
        int m = total - first < PIXELS ? int(total - first) : PIXELS;
        for (i64 g = 0; g < groups; g++) {
            for (auto &x : patches) x = float(f[PAD]);
            for (int q = 0; q < m; q++) {
                i64 frame = (first + q) / per, pixel = (first + q) % per;
                const int32_t *from = (const int32_t *)(in + frame * f[IN_WORDS]);
                float *to = patches.data() + q * k;
                runs(f, pixel / f[OW], pixel % f[OW], [&](i64 tap, i64 where, i64 side) {
                    const int32_t *s = from + where * f[C] + g * cg;
                    float *t = to + tap * cg;
                    // Without groups, the channels of neighbours lie in one piece.
                    i64 pieces = groups == 1 ? 1 : side, each = cg * side / pieces;
                    for (; pieces; pieces--, s += f[C], t += cg)
                        for (i64 c = 0; c < each; c++) t[c] = float(s[c]);
                });
            }
            const float *w = weights + g * k * padded, *p = patches.data();
            for (i64 o = 0; o < og; o += 16) {
                v8 s[PIXELS][2] = {};
                for (i64 t = 0; t < k; t++) {
                    v8 x, y;
                    std::memcpy(&x, w + t * padded + o, 32);
                    std::memcpy(&y, w + t * padded + o + 8, 32);
                    for (int q = 0; q < PIXELS; q++) {
                        s[q][0] += p[q * k + t] * x;
                        s[q][1] += p[q * k + t] * y;
                    }
                }
                for (int q = 0; q < m; q++)
                    for (int i = 0; i < 2; i++) {
                        i8x whole = __builtin_convertvector(s[q][i], i8x);
                        std::memcpy(&sums[q * room + g * og + o + 8 * i], &whole, 32);
                    }
            }
        }
        for (int q = 0; q < m; q++) {
            i64 frame = (first + q) / per, pixel = (first + q) % per;
            finish(f, sums.data() + q * room, out + frame * f[OUT_WORDS], pixel);
        }
    }
}

static void max_bits(const i64 *f, const u64 *in, u64 *out) {
    int cw = words(f[C]), planes = int(f[PIN]);
    const u64 *flip = (const u64 *)f[P0];  // Channels that take the minimum: codes upside down.
    for (i64 p = 0; p < f[OH] * f[OW]; p++) {
        u64 *to = out + p * planes * cw;
        bool first = true;
        taps(f, p / f[OW], p % f[OW], [&](i64, i64 at) {
            const u64 *s = in + at * planes * cw;
            for (int k = 0; k < cw; k++) {
                if (first) {
                    for (int i = 0; i < planes; i++) to[i * cw + k] = s[i * cw + k] ^ flip[k];
                    continue;
                }
                u64 equal = ~u64(0), more = 0;
                for (int i = planes - 1; i >= 0; i--) {
                    u64 a = s[i * cw + k] ^ flip[k], b = to[i * cw + k];
                    more |= equal & a & ~b;
                    equal &= ~(a ^ b);
                }
                for (int i = 0; i < planes; i++) {
                    u64 a = s[i * cw + k] ^ flip[k], &b = to[i * cw + k];
                    b ^= (a ^ b) & more;
                }
            }
            first = false;
        });
        for (int i = 0; i < planes; i++)
            for (int k = 0; k < cw; k++) to[i * cw + k] ^= flip[k];
    }
}

static void pool_wide(const i64 *f, const int32_t *in, int32_t *out) {
    const int32_t *minimum = (const int32_t *)f[P0];
    i64 c = f[C], all = f[KH] * f[KW];
    for (i64 p = 0; p < f[OH] * f[OW]; p++, out += c) {
        i64 seen = 0;
        taps(f, p / f[OW], p % f[OW], [&](i64, i64 at) {
            const int32_t *s = in + at * c;
            for (i64 k = 0; k < c; k++)
                if (!seen) out[k] = s[k];
                else if (f[KIND] == SUM_POOL) out[k] += s[k];
                else if (minimum[k] ? s[k] < out[k] : s[k] > out[k]) out[k] = s[k];
            seen++;
        });
        if (f[KIND] == SUM_POOL)
            for (i64 k = 0; k < c; k++) out[k] = (seen ? out[k] : 0) + int32_t(f[PAD] * (all - seen));
    }
}

// LO + STEP * clip((value * factor + offset) >> LEVELS); factor, offset and bounds by channel.
static void rescale(const i64 *f, const int32_t *in, int32_t *out) {
    const i64 *factor = (const i64 *)f[P0], *offset = (const i64 *)f[P1];
    const i64 *least = (const i64 *)f[P2], *most = (const i64 *)f[P3];
    i64 c = f[C], lo = f[LO], step = f[STEP], shift = f[LEVELS];
    for (i64 p = 0; p < f[H] * f[W]; p++, in += c, out += c)
        for (i64 k = 0; k < c; k++) {
            i64 code = (in[k] * factor[k] + offset[k]) >> shift;
            code = code < least[k] ? least[k] : code > most[k] ? most[k] : code;
            out[k] = int32_t(lo + step * code);
        }
}

static void each(const i64 *f, const u64 *in, u64 *out) {
    int cw = words(f[C]);
    i64 pixels = f[H] * f[W], planes = f[PIN];
    switch (f[KIND]) {
    case THRESHOLD:
        for (i64 p = 0; p < pixels; p++) finish(f, (const int32_t *)in + p * f[C], out, p);
        break;
    case MAX_BITS: max_bits(f, in, out); break;
    case MAX_WIDE:
    case SUM_POOL: pool_wide(f, (const int32_t *)in, (int32_t *)out); break;
    case RESCALE: rescale(f, (const int32_t *)in, (int32_t *)out); break;
    case FLATTEN_BITS:
        std::memset(out, 0, 8 * f[OUT_WORDS]);
        for (i64 p = 0; p < pixels; p++)
            for (i64 i = 0; i < planes; i++)
                copy_bits(out + i * words(pixels * f[C]), p * f[C], in + (p * planes + i) * cw, 0, f[C]);
        break;
    case UNPACK:
        for (i64 p = 0; p < pixels; p++)
            for (i64 k = 0; k < f[C]; k++) {
                i64 code = 0;
                for (i64 i = 0; i < planes; i++)
                    code |= i64(in[(p * planes + i) * cw + k / 64] >> (k % 64) & 1) << i;
                ((int32_t *)out)[p * f[C] + k] = int32_t(f[LO] + f[STEP] * code);
            }
    }
}

// Send frames through all steps; the last map, wide, of each frame goes to `out`. Returns 0, or 1 if
// there is no memory.
extern "C" int xf_run(const i64 *steps, i64 count, const void *x, i64 width, i64 frames, i64 most,
                      int32_t *out, i64 size) try {
    std::vector<u64> one(size_t(most) * BATCH), two(size_t(most) * BATCH);
    const i64 *first = steps;
    i64 samples_each = first[H] * first[W] * first[C];
    for (i64 at = 0; at < frames; at += BATCH) {
        int n = int(frames - at < BATCH ? frames - at : BATCH);
        u64 *from = one.data(), *to = two.data();
        for (i64 k = 0; k < count; k++) {
            const i64 *f = steps + k * FIELDS;
            if (f[KIND] <= SAMPLES)
                for (int i = 0; i < n; i++) {
                    u64 *frame = to + i * f[OUT_WORDS];
                    if (width == 1) samples(f, (const uint8_t *)x + (at + i) * samples_each, frame);
                    else if (width == 2) samples(f, (const uint16_t *)x + (at + i) * samples_each, frame);
                    else samples(f, (const int32_t *)x + (at + i) * samples_each, frame);
                }
            else if (f[KIND] == CONV_BITS) conv_bits(f, from, to, n);
            else if (f[KIND] == CONV_WIDE) conv_wide(f, from, to, n);
            else
                for (int i = 0; i < n; i++) each(f, from + i * f[IN_WORDS], to + i * f[OUT_WORDS]);
            u64 *t = from;
            from = to, to = t;
        }
        i64 stride = steps[(count - 1) * FIELDS + OUT_WORDS];
        for (int i = 0; i < n; i++) std::memcpy(out + (at + i) * size, from + i * stride, 4 * size);
    }
    return 0;
} catch (...) {
    return 1;
}
