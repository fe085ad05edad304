/* Terms and signals in C: wire/codec.py and wire/signal_arrays.py say what the bytes mean. What is rare or strange goes to the
 * Python twin; so does whatever can't be encoded, since only that one knows how to say where the culprit is. */

#ifndef PYDIST_CODEC_H
#define PYDIST_CODEC_H

#include "native.h"
#include <stdint.h>
#include <string.h>

enum { ATOM = 1, PID = 2, REF = 3, ALIAS = 4, TUPLE = 16, SET = 17, FROZENSET = 18, MESSAGE = 19 };

/* So many keys of a map, or members of a set, may have the same hash: see wire/codec.py. */
enum { SAME_HASH = 64 };

/* So many arrays and maps a term of `size` bytes may have; a body has room for more: see wire/codec.py. */
enum { CONTAINERS = 1000000, CONTAINER_BYTES = 16, MORE_CONTAINERS = 65536 };

static inline size_t
most_containers(size_t size)
{
    return size / CONTAINER_BYTES > CONTAINERS ? size / CONTAINER_BYTES : CONTAINERS;
}

/* How many arrays and maps stand inside each other at most; that of msgpack 1.2. */
enum { DEEPEST = 1024 };

/* Before anything is believed that a peer says of lengths, at most this many places are made for it. */
enum { BELIEVED = 1024 };

/* -- bytes that come into being (writer.c) */

enum { SMALL = 512 };

/* Short terms are written on the C stack, long ones into the bytes object that they are to be. So whoever is entered
 * again in the middle, by a finaliser that sends, has a writer of its own. */
typedef struct {
    unsigned char *at;
    unsigned char *end;
    PyObject *grown; /* NULL while `small` is enough */
    size_t containers;
    unsigned char small[SMALL];
} Writer;

static inline void
writer_begin(Writer *writer)
{
    writer->at = writer->small;
    writer->end = writer->small + SMALL;
    writer->grown = NULL;
    writer->containers = 0;
}

int writer_grow(Writer *writer, size_t size);
PyObject *writer_finish(Writer *writer);
int write_sized(Writer *writer, int first, int fixed, size_t size, size_t wide);
int write_extension(Writer *writer, int code, size_t size);
int write_bytes(Writer *writer, const char *data, Py_ssize_t size);
int write_text(Writer *writer, PyObject *text);

/* It does not work out; the Python twin has the words for why. What is raised already stays: it may be ^C. */
static inline int
refuse(void)
{
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "not for the C twin");
    }
    return -1;
}

/* Leaves (write_leaves.c); `write_integer` gives 1 for what 64 bits can't hold. */
int write_number(Writer *writer, int head, uint64_t value, int size);
int write_integer(Writer *writer, PyObject *value);
int write_float(Writer *writer, double value);
int write_memory(Writer *writer, PyObject *value);
int write_atom(Writer *writer, PyObject *atom);
int write_identifier(Writer *writer, int code, PyObject *value);
int write_alias(Writer *writer, PyObject *alias);
int write_ext_type(Writer *writer, PyObject *value);

/* Room for `size` bytes at `at`; -1 with MemoryError. */
static inline int
writer_need(Writer *writer, size_t size)
{
    return (size_t)(writer->end - writer->at) >= size ? 0 : writer_grow(writer, size);
}

static inline int
write_array(Writer *writer, size_t count)
{
    writer->containers++;
    return write_sized(writer, 0xDC, 0x90, count, 16);
}

/* Where room is already. */
static inline void
put(Writer *writer, const char *data, size_t size)
{
    memcpy(writer->at, data, size);
    writer->at += size;
}

/* Big-endian, into `size` bytes. */
static inline void
store(unsigned char *at, uint64_t value, int size)
{
    while (size-- > 0) {
        at[size] = (unsigned char)value;
        value >>= 8;
    }
}

/* -- bytes that are taken apart (decoder.c, collections.c, read_leaves.c) */

enum { NAMES = 128, LONGEST_NAME = 64, ATOMS = 64, CREATIONS = 8, CLASSES = 64 };

/* How the instances of a message class are made: by `initializer` without a call into Python, if it has one. */
typedef struct {
    PyObject *class;
    PyObject *initializer;
    Py_ssize_t fields;
} Maker;

/* Each table has one place for a key, and the last that came keeps it: a peer can't make them grow. */
typedef struct {
    PyObject_HEAD
    PyObject *names[NAMES];
    PyObject *atoms[ATOMS]; /* weak references: atoms of a peer do not stay */
    PyObject *creations[CREATIONS];
    Maker makers[CLASSES];
} Decoder;

typedef struct {
    const unsigned char *at;
    const unsigned char *end;
    Decoder *decoder;
    size_t size; /* of all there is to read */
    size_t containers; /* arrays and maps so far */
    PyObject *tail; /* the content of a binary whose head ends these bytes, or NULL: see bodies.py */
} Reader;

/* One term, as a new reference; `room` is how many arrays and maps may still begin inside each other. */
PyObject *read_term(Reader *reader, int room);

PyObject *read_array(Reader *reader, int room);
PyObject *read_dict(Reader *reader, size_t count, int room);

/* The items of an array of `count`, none of which is a head. */
PyObject *read_list(Reader *reader, size_t count, int room);

/* Past the head of an array, `*count` being its length; 0 where there is none, and nothing is read then. */
int read_array_head(Reader *reader, size_t *count);

/* Whether there can be as many items, of `bytes` bytes each at least; false with an exception. */
bool can_hold(const Reader *reader, size_t count, size_t bytes);

/* Whether a head of a tuple, set or message comes next. */
bool at_head(const Reader *reader);
bool is_head(int code);

/* Past a length of `bytes` bytes, or past the first bytes of an extension; false where they are not there. */
bool read_size(Reader *reader, int bytes, size_t *size);
bool read_extension_head(Reader *reader, int *code, size_t *size);

PyObject *read_leaf(Reader *reader, int code, size_t size);
PyObject *read_name(Decoder *decoder, const unsigned char *data, size_t size);
PyObject *make_instance(Decoder *decoder, PyObject *class, PyObject *const *values, Py_ssize_t count);

/* The exception that is set, as the DecodeError that the caller of a decoder gets. */
void fail_to_decode(void);
PyObject *cut_short(void);

static inline size_t
bytes_left(const Reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static inline uint64_t
load(const unsigned char *at, int size)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* -- made in identifiers.c and initializer.c */

PyObject *identifier_make(PyTypeObject *type, PyObject *node, PyObject *number, PyObject *creation);

/* Sets the fields; false where attrs' own has to do it. Sets no exception then. */
bool initializer_takes(PyObject *initializer, Py_ssize_t given);
int initializer_fill(PyObject *initializer, PyObject *instance, PyObject *const *values, Py_ssize_t given);

extern PyTypeObject EncoderType, DecoderType, SignalReaderType, FrameBuilderType, AssemblyType;

/* From Python, see `connect` in module.c. */
extern PyObject *atom_class, *alias_class, *opaque_class, *encoded_class, *extension_class, *message_classes;
extern PyObject *pure_encoder, *pure_reader, *layout_of, *read_extension, *as_decode_error;
extern PyObject *too_deep, *format_error, *decode_error;
extern PyObject *messages_class, *alias_message_class, *link_class, *monitor_class, *demonitor_class,
    *monitor_exit_class, *ask_class;

int leaves_ready(void);
int encoder_ready(void);
int collections_ready(void);
int decoder_ready(void);
int signals_ready(void);

#endif
