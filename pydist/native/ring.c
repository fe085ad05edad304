#include "native.h"

enum { SMALLEST = 4 };

/* Give the ring room for `cap` items; `cap` is a power of two, and not less than its length. */
static int
ring_resize(Ring *ring, Py_ssize_t cap)
{
    PyObject **items = PyMem_New(PyObject *, cap);
    if (items == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < ring->len; i++) {
        items[i] = ring_at(ring, i);
    }
    PyMem_Free(ring->items);
    ring->items = items;
    ring->head = 0;
    ring->cap = cap;
    return 0;
}

int
ring_grow(Ring *ring)
{
    return ring_resize(ring, ring->cap ? ring->cap * 2 : SMALLEST);
}

/* An empty ring that has been long gives its memory back. */
void
ring_shrink(Ring *ring)
{
    PyMem_Free(ring->items);
    *ring = (Ring){NULL, 0, 0, 0};
}

/* Take out the item at `index`, whose reference becomes the caller's. */
PyObject *
ring_remove(Ring *ring, Py_ssize_t index)
{
    Py_ssize_t mask = ring->cap - 1;
    if (index == 0) {
        return ring_pop(ring);
    }
    PyObject *item = ring_at(ring, index);
    if (index < ring->len - index) {
        for (Py_ssize_t i = index; i > 0; i--) {
            ring->items[(ring->head + i) & mask] = ring->items[(ring->head + i - 1) & mask];
        }
        ring->head = (ring->head + 1) & mask;
    }
    else {
        for (Py_ssize_t i = index; i < ring->len - 1; i++) {
            ring->items[(ring->head + i) & mask] = ring->items[(ring->head + i + 1) & mask];
        }
    }
    ring->len--;
    return item;
}

void
ring_clear(Ring *ring)
{
    Ring old = *ring;
    *ring = (Ring){NULL, 0, 0, 0}; /* first: what is let go may look at the ring */
    for (Py_ssize_t i = 0; i < old.len; i++) {
        Py_DECREF(ring_at(&old, i));
    }
    PyMem_Free(old.items);
}

int
ring_visit(const Ring *ring, visitproc visit, void *arg)
{
    for (Py_ssize_t i = 0; i < ring->len; i++) {
        Py_VISIT(ring_at(ring, i));
    }
    return 0;
}
