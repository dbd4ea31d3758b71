// What follows a convolution, in one pass over memory, both ways: rectify, normalize across maps, normalize
// within maps, pool, rectify; each of them may be left out. Maps lie channels-last, as float or bfloat16; all
// arithmetic is in float. A thread works on one image at a time, in scratch memory that stays in its cache.
//
// Plain C interface, opened by Python's ctypes; `Plan` has its twin in fused_kernel.py.

#include "local_response_norm.cpp"

namespace {

constexpr uint8_t SILENT = 255;  // in place of the chosen tap: rectified away, no gradient passes

struct bfloat16 {
    uint16_t bits;
};

inline float load(float value) { return value; }
inline float load(bfloat16 value) {
    const uint32_t bits = uint32_t(value.bits) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
}
inline void store(float *to, float value) { *to = value; }
inline void store(bfloat16 *to, float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;  // to the nearest, ties to even
    to->bits = uint16_t((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16) | 0x40 : rounded);  // a NaN stays one
}

// Calls visit(tap, pixel) for each pixel of the window of pooled pixel (y, x); taps are numbered row by row.
template <typename Visit>
inline void for_each_tap(const Plan &plan, int64_t y, int64_t x, Visit visit) {
    for (int64_t down = 0; down < plan.pool_size && y * plan.pool_stride + down < plan.height; down++)
        for (int64_t right = 0; right < plan.pool_size && x * plan.pool_stride + right < plan.width; right++)
            visit(int32_t(down * plan.pool_size + right),
                  (y * plan.pool_stride + down) * plan.width + x * plan.pool_stride + right);
}

// The first of equal values is chosen, and a NaN before any number, as torch does.
template <typename T>
void pool_forward(const Plan &plan, const float *values, T *out, uint8_t *chosen, Scratch &scratch) {
    const int64_t channels = plan.channels;
    float *best = scratch.sums.data();
    int32_t *taps = scratch.taps.data();
    for (int64_t y = 0; y < plan.pooled_height; y++)
        for (int64_t x = 0; x < plan.pooled_width; x++) {
            for_each_tap(plan, y, x, [&](int32_t tap, int64_t pixel) {
                const float *a = values + pixel * channels;
                if (tap == 0) {
                    std::memcpy(best, a, channels * sizeof(float));
                    std::memset(taps, 0, channels * sizeof(int32_t));
                    return;
                }
#pragma omp simd
                for (int64_t c = 0; c < channels; c++) {
                    const bool better = (a[c] > best[c]) | (a[c] != a[c]);
                    best[c] = better ? a[c] : best[c];
                    taps[c] = better ? tap : taps[c];
                }
            });
            const int64_t at = (y * plan.pooled_width + x) * channels;
            if (plan.rectify_last)
                for (int64_t c = 0; c < channels; c++) {
                    taps[c] = best[c] <= 0 ? SILENT : taps[c];
                    best[c] = best[c] <= 0 ? 0.0f : best[c];
                }
            for (int64_t c = 0; c < channels; c++) store(out + at + c, best[c]);
            if (chosen)
                for (int64_t c = 0; c < channels; c++) chosen[at + c] = uint8_t(taps[c]);
        }
}

template <typename T>
void pool_backward(const Plan &plan, const T *pooled_gradient, const uint8_t *chosen, float *gradient) {
    std::memset(gradient, 0, plan.image() * sizeof(float));
    for (int64_t y = 0; y < plan.pooled_height; y++)
        for (int64_t x = 0; x < plan.pooled_width; x++) {
            const int64_t at = (y * plan.pooled_width + x) * plan.channels;
            for_each_tap(plan, y, x, [&](int32_t tap, int64_t pixel) {
                float *to = gradient + pixel * plan.channels;
#pragma omp simd
                for (int64_t c = 0; c < plan.channels; c++)
                    to[c] += chosen[at + c] == tap ? load(pooled_gradient[at + c]) : 0.0f;
            });
        }
}

template <typename T>
void load_image(const Plan &plan, const T *maps, float *values) {
    for (int64_t i = 0; i < plan.image(); i++) {
        const float value = load(maps[i]);
        values[i] = plan.rectify_first && value <= 0 ? 0.0f : value;
    }
}

template <typename T>
void forward(const Plan &plan, const T *maps, T *out, uint8_t *chosen) {
#pragma omp parallel num_threads(int(plan.threads))
    {
        Scratch scratch(plan, false);
        float *values = scratch.values.data();
#pragma omp for schedule(static)
        for (int64_t index = 0; index < plan.images; index++) {
            load_image(plan, maps + index * plan.image(), values);
            if (plan.across_size) normalize_across(plan, values, scratch);
            if (plan.within_size) within_forward(plan, values, scratch);
            if (plan.pool_size)
                pool_forward(plan, values, out + index * plan.pooled(),
                             chosen ? chosen + index * plan.pooled() : nullptr, scratch);
            else
                for (int64_t i = 0; i < plan.image(); i++) store(out + index * plan.image() + i, values[i]);
        }
    }
}

template <typename T>
void backward(const Plan &plan, const T *maps, const T *out_gradient, const uint8_t *chosen, T *gradient) {
#pragma omp parallel num_threads(int(plan.threads))
    {
        Scratch scratch(plan, true);
        float *values = scratch.values.data(), *inner = scratch.gradient.data();
#pragma omp for schedule(static)
        for (int64_t index = 0; index < plan.images; index++) {
            const T *image = maps + index * plan.image();
            if (plan.pool_size)
                pool_backward(plan, out_gradient + index * plan.pooled(), chosen + index * plan.pooled(), inner);
            else
                for (int64_t i = 0; i < plan.image(); i++) inner[i] = load(out_gradient[index * plan.image() + i]);
            if (plan.across_size || plan.within_size) load_image(plan, image, values);
            if (plan.within_size) {
                scratch.normalized = scratch.values;
                if (plan.across_size) normalize_across(plan, scratch.normalized.data(), scratch);
                within_backward(plan, scratch.normalized.data(), inner, scratch);
            }
            if (plan.across_size == 5) across_backward<5>(plan, values, inner, scratch);
            else if (plan.across_size) across_backward<0>(plan, values, inner, scratch);
            T *to = gradient + index * plan.image();
            for (int64_t i = 0; i < plan.image(); i++)
                store(to + i, plan.rectify_first && load(image[i]) <= 0 ? 0.0f : inner[i]);
        }
    }
}

}  // namespace

extern "C" {
void forward_float32(const Plan *plan, const float *maps, float *out, uint8_t *chosen) {
    forward(*plan, maps, out, chosen);
}
void backward_float32(const Plan *plan, const float *maps, const float *out_gradient, const uint8_t *chosen,
                      float *gradient) {
    backward(*plan, maps, out_gradient, chosen, gradient);
}
void forward_bfloat16(const Plan *plan, const bfloat16 *maps, bfloat16 *out, uint8_t *chosen) {
    forward(*plan, maps, out, chosen);
}
void backward_bfloat16(const Plan *plan, const bfloat16 *maps, const bfloat16 *out_gradient, const uint8_t *chosen,
                       bfloat16 *gradient) {
    backward(*plan, maps, out_gradient, chosen, gradient);
}
}
