/* Decoder: see wire/codec.py. */
#include "codec.h"

static PyObject *
no_format(void)
{
    PyErr_SetNone(format_error);
    return NULL;
}

static PyObject *
stray_head(void)
{
    PyErr_SetString(decode_error, "bytes behind the last term, or the head of a tuple, set or message that is not the "
                                  "first of an array");
    return NULL;
}

static PyObject *
read_text(Reader *reader, size_t size)
{
    const char *data = (const char *)reader->at;
    if (bytes_left(reader) < size) {
        return cut_short();
    }
    reader->at += size;
    return PyUnicode_DecodeUTF8(data, (Py_ssize_t)size, NULL);
}

/* The binary whose head ends what there is to read. */
static PyObject *
take_tail(Reader *reader, size_t size)
{
    PyObject *tail = reader->tail;
    if (tail == NULL || (size_t)PyBytes_GET_SIZE(tail) != size) {
        return cut_short();
    }
    reader->tail = NULL;
    return Py_NewRef(tail);
}

static PyObject *
read_binary(Reader *reader, size_t size)
{
    const char *data = (const char *)reader->at;
    if (bytes_left(reader) < size) {
        return bytes_left(reader) == 0 ? take_tail(reader, size) : cut_short();
    }
    reader->at += size;
    return PyBytes_FromStringAndSize(data, (Py_ssize_t)size);
}

static PyObject *
read_float(Reader *reader, int size)
{
    const char *data = (const char *)reader->at;
    if (bytes_left(reader) < (size_t)size) {
        return cut_short();
    }
    reader->at += size;
    double value = size == 4 ? PyFloat_Unpack4(data, 0) : PyFloat_Unpack8(data, 0);
    return value == -1.0 && PyErr_Occurred() ? NULL : PyFloat_FromDouble(value);
}

static PyObject *
read_number(Reader *reader, int size, bool with_sign)
{
    if (bytes_left(reader) < (size_t)size) {
        return cut_short();
    }
    uint64_t value = load(reader->at, size);
    reader->at += size;
    if (!with_sign) {
        return PyLong_FromUnsignedLongLong(value);
    }
    int unused = 64 - 8 * size;
    return PyLong_FromLongLong((int64_t)(value << unused) >> unused);
}

static PyObject *
read_extended(Reader *reader)
{
    int code;
    size_t size;
    reader->at--;
    if (!read_extension_head(reader, &code, &size)) {
        return cut_short();
    }
    return is_head(code) ? stray_head() : read_leaf(reader, code, size);
}

/* What begins with a byte from 0xC0 to 0xDF. */
static PyObject *
read_marked(Reader *reader, int mark, int room)
{
    size_t size;
    switch (mark) {
    case 0xC0:
        return Py_NewRef(Py_None);
    case 0xC2:
    case 0xC3:
        return PyBool_FromLong(mark == 0xC3);
    case 0xC4: case 0xC5: case 0xC6:
        return read_size(reader, 1 << (mark - 0xC4), &size) ? read_binary(reader, size) : cut_short();
    case 0xCA: case 0xCB:
        return read_float(reader, mark == 0xCA ? 4 : 8);
    case 0xCC: case 0xCD: case 0xCE: case 0xCF:
        return read_number(reader, 1 << (mark - 0xCC), false);
    case 0xD0: case 0xD1: case 0xD2: case 0xD3:
        return read_number(reader, 1 << (mark - 0xD0), true);
    case 0xD9: case 0xDA: case 0xDB:
        return read_size(reader, 1 << (mark - 0xD9), &size) ? read_text(reader, size) : cut_short();
    case 0xDC: case 0xDD:
        reader->at--;
        return read_array(reader, room);
    case 0xDE: case 0xDF:
        return read_size(reader, mark == 0xDE ? 2 : 4, &size) ? read_dict(reader, size, room) : cut_short();
    case 0xC1:
        return no_format();
    default:
        return read_extended(reader);
    }
}

PyObject *
read_term(Reader *reader, int room)
{
    if (bytes_left(reader) == 0) {
        return cut_short();
    }
    int first = *reader->at++;
    if (first < 0x80) {
        return PyLong_FromLong(first);
    }
    if (first < 0x90) {
        return read_dict(reader, (size_t)(first & 0x0F), room);
    }
    if (first < 0xA0) {
        reader->at--;
        return read_array(reader, room);
    }
    if (first < 0xC0) {
        return read_text(reader, (size_t)(first & 0x1F));
    }
    return first < 0xE0 ? read_marked(reader, first, room) : PyLong_FromLong(first - 0x100);
}

/* -- the type */

/* ^C, say, while a validator ran, is passed on as it is. */
void
fail_to_decode(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(decode_error)) {
        return;
    }
    PyObject *cause = take_exception();
    PyObject *error = PyObject_CallOneArg(as_decode_error, cause);
    if (error != NULL) {
        PyException_SetCause(error, Py_NewRef(cause));
        PyException_SetContext(error, Py_NewRef(cause));
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    }
    Py_DECREF(cause);
}

static PyObject *
decoder_decode(Decoder *self, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        fail_to_decode();
        return NULL;
    }
    Reader reader = {view.buf, (const unsigned char *)view.buf + view.len, self, (size_t)view.len};
    PyObject *value = read_term(&reader, DEEPEST);
    if (value != NULL && bytes_left(&reader) > 0) {
        Py_CLEAR(value);
        PyErr_SetString(PyExc_ValueError, "unpack(b) received extra data.");
    }
    if (value == NULL) {
        fail_to_decode();
    }
    PyBuffer_Release(&view);
    return value;
}

static PyObject *
decoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Decoder") || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "Decoder takes no arguments");
    }
    return type->tp_alloc(type, 0);
}

static void
decoder_dealloc(Decoder *self)
{
    for (size_t i = 0; i < NAMES; i++) {
        Py_XDECREF(self->names[i]);
    }
    for (size_t i = 0; i < ATOMS; i++) {
        Py_XDECREF(self->atoms[i]);
    }
    for (size_t i = 0; i < CREATIONS; i++) {
        Py_XDECREF(self->creations[i]);
    }
    for (size_t i = 0; i < CLASSES; i++) {
        Py_XDECREF(self->makers[i].class);
        Py_XDECREF(self->makers[i].initializer);
    }
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef decoder_methods[] = {
    {"decode", (PyCFunction)decoder_decode, METH_O, "The term whose bytes these are. Raises DecodeError."},
    {NULL},
};

PyTypeObject DecoderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist._native.Decoder",
    .tp_doc = "Decodes terms: see wire/codec.py.",
    .tp_basicsize = sizeof(Decoder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = decoder_new,
    .tp_dealloc = (destructor)decoder_dealloc,
    .tp_methods = decoder_methods,
};

int
decoder_ready(void)
{
    return collections_ready() < 0 ? -1 : PyType_Ready(&DecoderType);
}
