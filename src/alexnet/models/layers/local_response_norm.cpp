// Response normalization of one image's maps, in place, both ways; included by fused_block.cpp.
//
// b[i] = a[i] * d[i]^-3/4 with d[i] = k + alpha * (sum of a[j]^2, j in the window of i); its gradient is
// g[i] * d[i]^-3/4 - 3/2 * alpha * a[i] * (sum of g[j] * a[j] * d[j]^-7/4, i in the window of j).
// Maps lie channels-last. `across`: the window runs over neighboring maps of a tower at one pixel;
// `within`: it is a square of pixels of one map, cut off at the image's border.

#include <cstdint>
#include <cstring>
#include <vector>

struct Plan {
    int64_t images, height, width, channels;
    int64_t pooled_height, pooled_width, pool_size, pool_stride;  // pool_size 0: no pooling
    int64_t groups, across_size, within_size;                     // a size of 0: no such normalization
    int64_t rectify_first, rectify_last, threads;                 // rectify_last only after pooling
    double across_alpha, across_k, within_alpha, within_k;

    int64_t row() const { return width * channels; }
    int64_t image() const { return height * row(); }
    int64_t pooled() const { return pooled_height * pooled_width * channels; }
    int64_t reach() const { return within_size / 2; }
};

namespace {

constexpr int32_t FOURTH_ROOT_GUESS = 0x4f5851eb;  // off by 3 % at most

// d^-1/4 to float's precision for d > 0, several times faster than roots and a division: a guess from the bits
// of the number, then Newton's method. NaN stays NaN.
inline float inverse_fourth_root(float d) {
    int32_t bits;
    std::memcpy(&bits, &d, 4);
    bits = FOURTH_ROOT_GUESS - (bits >> 2);
    float root;
    std::memcpy(&root, &bits, 4);
    for (int step = 0; step < 3; step++) {
        const float squared = root * root;
        root *= 1.25f - 0.25f * d * (squared * squared);
    }
    return root;
}

struct Scratch {
    std::vector<float> values, gradient, normalized, squares, shares, sums, columns, window, mirrored;
    std::vector<int32_t> taps;

    explicit Scratch(const Plan &plan, bool backward)
        : values(plan.image()),
          gradient(backward ? plan.image() : 0),
          normalized(backward && plan.within_size ? plan.image() : 0),
          squares(plan.within_size ? plan.image() : 0),
          shares(backward && plan.within_size ? plan.image() : 0),
          sums(plan.within_size ? plan.row() : plan.channels),
          columns(plan.row() + 2 * plan.reach() * plan.channels, 0.0f),  // the margins of these three stay zero
          window(plan.width * (plan.channels + plan.groups * plan.across_size), 0.0f),
          mirrored(backward ? window.size() : 0, 0.0f),
          taps(plan.channels) {}
};

// The sum of values[0 .. size - 1]. SIZE is the same where it is known beforehand, and then vectorized; else 0.
template <int SIZE>
inline float window_sum(const float *values, int64_t size) {
    float sum = values[0];
    for (int64_t offset = 1; offset < (SIZE ? SIZE : size); offset++) sum += values[offset];
    return sum;
}

// Each step across maps is taken for a whole row of pixels before the next: what one has just written cannot be
// read at another alignment without a wait. `window` and `mirrored` hold a row, each tower's maps with margins.
template <typename Step>
inline void for_each_tower(const Plan &plan, Step step) {
    const int64_t maps = plan.channels / plan.groups;
    for (int64_t tower = 0; tower < plan.width * plan.groups; tower++)
        step(tower * maps, tower * (maps + plan.across_size));
}

template <int SIZE>
void across_forward(const Plan &plan, float *values, Scratch &scratch) {
    const int64_t maps = plan.channels / plan.groups, size = plan.across_size;
    const float alpha = plan.across_alpha, k = plan.across_k;
    for (float *row = values; row < values + plan.image(); row += plan.row()) {
        for_each_tower(plan, [&](int64_t at, int64_t padded) {
            float *squares = scratch.window.data() + padded + size / 2;
            for (int64_t i = 0; i < maps; i++) squares[i] = row[at + i] * row[at + i];
        });
        for_each_tower(plan, [&](int64_t at, int64_t padded) {
            const float *squares = scratch.window.data() + padded;
            float *a = row + at;
#pragma omp simd
            for (int64_t i = 0; i < maps; i++) {
                const float root = inverse_fourth_root(k + alpha * window_sum<SIZE>(squares + i, size));
                a[i] *= root * root * root;
            }
        });
    }
}

void normalize_across(const Plan &plan, float *values, Scratch &scratch) {
    plan.across_size == 5 ? across_forward<5>(plan, values, scratch) : across_forward<0>(plan, values, scratch);
}

// `gradient` in place: from that of the normalized values to that of `values`.
template <int SIZE>
void across_backward(const Plan &plan, const float *values, float *gradient, Scratch &scratch) {
    const int64_t maps = plan.channels / plan.groups, size = plan.across_size, before = size / 2;
    const float alpha = plan.across_alpha, k = plan.across_k;
    for (int64_t start = 0; start < plan.image(); start += plan.row()) {
        const float *row = values + start;
        float *row_gradient = gradient + start;
        for_each_tower(plan, [&](int64_t at, int64_t padded) {
            float *squares = scratch.window.data() + padded + before;
            for (int64_t i = 0; i < maps; i++) squares[i] = row[at + i] * row[at + i];
        });
        for_each_tower(plan, [&](int64_t at, int64_t padded) {
            const float *a = row + at, *squares = scratch.window.data() + padded;
            float *g = row_gradient + at, *shares = scratch.mirrored.data() + padded + size - 1 - before;
#pragma omp simd
            for (int64_t i = 0; i < maps; i++) {
                const float root = inverse_fourth_root(k + alpha * window_sum<SIZE>(squares + i, size));
                const float squared = root * root;
                g[i] *= squared * root;
                shares[i] = g[i] * a[i] * (squared * squared);
            }
        });
        for_each_tower(plan, [&](int64_t at, int64_t padded) {
            const float *a = row + at, *shares = scratch.mirrored.data() + padded;
            float *g = row_gradient + at;
#pragma omp simd
            for (int64_t i = 0; i < maps; i++) g[i] -= 1.5f * alpha * a[i] * window_sum<SIZE>(shares + i, size);
        });
    }
}

// scratch.sums[x, c] of row y = the sum of values over the window, cut off at the image's border.
void within_sums(const Plan &plan, const float *values, int64_t y, Scratch &scratch) {
    const int64_t row = plan.row(), reach = plan.reach();
    const int64_t first = y < reach ? 0 : y - reach;
    const int64_t last = y + reach < plan.height ? y + reach : plan.height - 1;
    float *inner = scratch.columns.data() + reach * plan.channels;
    for (int64_t i = 0; i < row; i++) inner[i] = values[first * row + i];
    for (int64_t other = first + 1; other <= last; other++)
        for (int64_t i = 0; i < row; i++) inner[i] += values[other * row + i];
    float *sums = scratch.sums.data();
    const float *columns = scratch.columns.data();
    for (int64_t i = 0; i < row; i++) sums[i] = columns[i];
    for (int64_t offset = 1; offset < plan.within_size; offset++)
        for (int64_t i = 0; i < row; i++) sums[i] += columns[i + offset * plan.channels];
}

void within_forward(const Plan &plan, float *values, Scratch &scratch) {
    const float alpha = plan.within_alpha, k = plan.within_k;
    const float *sums = scratch.sums.data();
    for (int64_t i = 0; i < plan.image(); i++) scratch.squares[i] = values[i] * values[i];
    for (int64_t y = 0; y < plan.height; y++) {
        within_sums(plan, scratch.squares.data(), y, scratch);
        float *a = values + y * plan.row();
        for (int64_t i = 0; i < plan.row(); i++) {
            const float root = inverse_fourth_root(k + alpha * sums[i]);
            a[i] *= root * root * root;
        }
    }
}

// `gradient` in place, `values` are lost.
void within_backward(const Plan &plan, float *values, float *gradient, Scratch &scratch) {
    const float alpha = plan.within_alpha, k = plan.within_k;
    const float *sums = scratch.sums.data();
    for (int64_t i = 0; i < plan.image(); i++) scratch.squares[i] = values[i] * values[i];
    float *shares = scratch.shares.data();
    for (int64_t y = 0; y < plan.height; y++) {
        within_sums(plan, scratch.squares.data(), y, scratch);
        const int64_t at = y * plan.row();
        for (int64_t i = 0; i < plan.row(); i++) {
            const float root = inverse_fourth_root(k + alpha * sums[i]), squared = root * root;
            gradient[at + i] *= squared * root;
            shares[at + i] = gradient[at + i] * values[at + i] * (squared * squared);
        }
    }
    for (int64_t y = 0; y < plan.height; y++) {
        within_sums(plan, shares, y, scratch);
        const int64_t at = y * plan.row();
        for (int64_t i = 0; i < plan.row(); i++) gradient[at + i] -= 1.5f * alpha * values[at + i] * sums[i];
    }
}

}  // namespace
