/* SignalReader: see wire/signal_arrays.py. The frequent signals are made here, from their bytes. Of any other one the array is
 * read here, and made a signal or refused by the Python twin. */
#include "codec.h"

enum { SEND = 1, SEND_ALIAS = 3, LINK = 10, MONITOR = 20, DEMONITOR = 21, MONITOR_EXIT = 22, ASK = 23 };

/* The node that a bare number belongs to. */
typedef struct {
    PyObject *node;
    PyObject *creation;
} Home;

typedef struct {
    PyObject_HEAD
    Decoder *decoder;
    Home local;
    Home peer;
    PyObject *homes; /* both as Python has them */
    PyObject *pure;  /* the Python twin, or NULL until it is needed */
} SignalReader;

static PyObject *str_signal;

/* -- fields. Each is NULL without an exception where something else stands there, and nothing is read then. */

static PyObject *
read_bare_number(Reader *reader)
{
    int first = bytes_left(reader) > 0 ? *reader->at : 0xC1;
    int size = first < 0x80 ? 0 : first >= 0xCC && first <= 0xCF ? 1 << (first - 0xCC) : -1;
    if (size < 0 || bytes_left(reader) - 1 < (size_t)size) {
        return NULL;
    }
    uint64_t value = size == 0 ? (uint64_t)first : load(reader->at + 1, size);
    reader->at += 1 + size;
    return PyLong_FromUnsignedLongLong(value);
}

static PyObject *
read_at_home(Reader *reader, PyTypeObject *type, const Home *home)
{
    PyObject *number = read_bare_number(reader);
    if (number == NULL) {
        return NULL;
    }
    PyObject *id = identifier_make(type, home->node, number, home->creation);
    Py_DECREF(number);
    return id;
}

/* A process by its number, or by its name. */
static PyObject *
read_address(Reader *reader, const Home *home)
{
    int first = bytes_left(reader) > 0 ? *reader->at : 0xC1;
    size_t size = (size_t)(first & 0x1F);
    if (first < 0xA0 || first > 0xBF || bytes_left(reader) - 1 < size) {
        return read_at_home(reader, &PidType, home);
    }
    const unsigned char *data = reader->at + 1;
    reader->at += 1 + size;
    return read_name(reader->decoder, data, size);
}

/* -- signals */

enum { MOST_FIELDS = 4 };

/* The fields behind an op, as far as they have been read. */
typedef struct {
    PyObject *values[MOST_FIELDS];
    int count;
    bool missing; /* one was not as it is in the frequent case, or raised */
} Fields;

static void
take(Fields *fields, PyObject *value)
{
    fields->missing = value == NULL;
    if (value != NULL) {
        fields->values[fields->count++] = value;
    }
}

static void
take_pid(Fields *fields, Reader *reader, const Home *home)
{
    if (!fields->missing) {
        take(fields, read_at_home(reader, &PidType, home));
    }
}

static void
take_ref(Fields *fields, Reader *reader, const Home *home)
{
    if (!fields->missing) {
        take(fields, read_at_home(reader, &RefType, home));
    }
}

static void
take_address(Fields *fields, Reader *reader, const Home *home)
{
    if (!fields->missing) {
        take(fields, read_address(reader, home));
    }
}

static void
take_term(Fields *fields, Reader *reader)
{
    if (!fields->missing) {
        take(fields, read_term(reader, DEEPEST));
    }
}

/* A run: each of its messages may nest as deep as any term. */
static void
take_run(Fields *fields, Reader *reader)
{
    size_t count;
    if (fields->missing) {
        return;
    }
    Reader ahead = *reader;
    if (!read_array_head(&ahead, &count) || (count > 0 && at_head(&ahead))) {
        fields->missing = true;
        return;
    }
    *reader = ahead;
    take(fields, can_hold(reader, count, 1) ? read_list(reader, count, DEEPEST) : NULL);
}

static PyObject *
make_signal(Reader *reader, PyObject *class, Fields *fields)
{
    PyObject *signal = fields->missing ? NULL : make_instance(reader->decoder, class, fields->values, fields->count);
    for (int i = 0; i < fields->count; i++) {
        Py_DECREF(fields->values[i]);
    }
    return signal;
}

static PyObject *
read_run(Reader *reader)
{
    Fields fields = {.count = 0};
    take(&fields, read_bare_number(reader));
    take_run(&fields, reader);
    return make_signal(reader, messages_class, &fields);
}

static PyObject *
read_alias_message(SignalReader *self, Reader *reader)
{
    Fields address = {.count = 0};
    take_pid(&address, reader, &self->local);
    take_ref(&address, reader, &self->local);
    PyObject *alias = make_signal(reader, alias_class, &address);
    if (alias == NULL) {
        return NULL;
    }
    Fields fields = {.values = {alias}, .count = 1};
    take_term(&fields, reader);
    return make_signal(reader, alias_message_class, &fields);
}

static PyObject *
read_link(SignalReader *self, Reader *reader)
{
    Fields fields = {.count = 0};
    take_pid(&fields, reader, &self->peer);
    take_pid(&fields, reader, &self->local);
    return make_signal(reader, link_class, &fields);
}

static PyObject *
read_monitor(SignalReader *self, Reader *reader, PyObject *class)
{
    Fields fields = {.count = 0};
    take_pid(&fields, reader, &self->peer);
    take_address(&fields, reader, &self->local);
    take_ref(&fields, reader, &self->peer);
    return make_signal(reader, class, &fields);
}

static PyObject *
read_monitor_exit(SignalReader *self, Reader *reader)
{
    Fields fields = {.count = 0};
    take_address(&fields, reader, &self->peer);
    take_pid(&fields, reader, &self->local);
    take_ref(&fields, reader, &self->local);
    take_term(&fields, reader);
    return make_signal(reader, monitor_exit_class, &fields);
}

static PyObject *
read_ask(SignalReader *self, Reader *reader)
{
    Fields fields = {.count = 0};
    take_pid(&fields, reader, &self->peer);
    take_address(&fields, reader, &self->local);
    take_ref(&fields, reader, &self->peer);
    take_term(&fields, reader);
    return make_signal(reader, ask_class, &fields);
}

/* A signal of a frequent kind; NULL without an exception for any other. */
static PyObject *
read_frequent(SignalReader *self, Reader *reader)
{
    if (bytes_left(reader) < 2) {
        return NULL;
    }
    int items = *reader->at - 0x90, op = reader->at[1];
    reader->at += 2;
    switch (op) {
    case SEND:
        return items == 3 ? read_run(reader) : NULL;
    case SEND_ALIAS:
        return items == 4 ? read_alias_message(self, reader) : NULL;
    case LINK:
        return items == 3 ? read_link(self, reader) : NULL;
    case MONITOR:
    case DEMONITOR:
        return items == 4 ? read_monitor(self, reader, op == MONITOR ? monitor_class : demonitor_class) : NULL;
    case MONITOR_EXIT:
        return items == 5 ? read_monitor_exit(self, reader) : NULL;
    case ASK:
        return items == 5 ? read_ask(self, reader) : NULL;
    default:
        return NULL;
    }
}

/* -- those of Python */

/* The array of a signal, whose last item, or each message of the run that it is, may nest as deep as any term. */
static PyObject *
read_signal_array(Reader *reader)
{
    Reader ahead = *reader;
    size_t count;
    if (!read_array_head(&ahead, &count) || (count > 0 && at_head(&ahead))) {
        return read_term(reader, DEEPEST); /* no signal, whatever it is */
    }
    *reader = ahead;
    if (!can_hold(reader, count, 1)) {
        return NULL;
    }
    bool run = count == 3 && *reader->at == SEND;
    return read_list(reader, count, run ? DEEPEST + 1 : DEEPEST);
}

static PyObject *
read_any(SignalReader *self, Reader *reader)
{
    PyObject *array = read_signal_array(reader);
    if (array == NULL) {
        return NULL;
    }
    if (self->pure == NULL) {
        self->pure = PyObject_CallObject(pure_reader, self->homes);
    }
    PyObject *signal = self->pure == NULL ? NULL : PyObject_CallMethodOneArg(self->pure, str_signal, array);
    Py_DECREF(array);
    return signal;
}

static PyObject *
read_signal(SignalReader *self, Reader *reader)
{
    const unsigned char *start = reader->at;
    PyObject *signal = read_frequent(self, reader);
    if (signal == NULL && !PyErr_Occurred()) {
        reader->at = start;
        signal = read_any(self, reader);
    }
    return signal;
}

/* -- frames */

/* It may be a term, if none that a frame is, or no term at all. */
static PyObject *
no_frame(Reader *reader)
{
    PyObject *value = read_term(reader, DEEPEST);
    if (value != NULL) {
        Py_DECREF(value);
        PyErr_SetString(decode_error, "a frame is an array of signals");
    }
    return NULL;
}

static PyObject *
read_frame(SignalReader *self, Reader *reader)
{
    size_t count;
    Reader ahead = *reader;
    if (!read_array_head(&ahead, &count) || (count > 0 && at_head(&ahead))) {
        return no_frame(reader);
    }
    *reader = ahead;
    PyObject *signals = can_hold(reader, count, 1) ? PyList_New(0) : NULL;
    for (size_t i = 0; signals != NULL && i < count; i++) {
        PyObject *signal = read_signal(self, reader);
        if (signal == NULL || PyList_Append(signals, signal) < 0) {
            Py_CLEAR(signals);
        }
        Py_XDECREF(signal);
    }
    if (signals != NULL && bytes_left(reader) > 0) {
        Py_CLEAR(signals);
        PyErr_SetString(PyExc_ValueError, "unpack(b) received extra data.");
    }
    return signals;
}

static PyObject *
reader_read(SignalReader *self, PyObject *frame)
{
    Py_buffer view;
    if (PyObject_GetBuffer(frame, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Reader reader = {view.buf, (const unsigned char *)view.buf + view.len, self->decoder, (size_t)view.len};
    PyObject *signals = read_frame(self, &reader);
    if (signals == NULL) {
        fail_to_decode();
    }
    PyBuffer_Release(&view);
    return signals;
}

/* As `read` of both in one, where that does not come out: what looked like the head of a binary was none. ^C is passed on. */
static PyObject *
read_joined(SignalReader *self, PyObject *head, PyObject *tail)
{
    if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_Exception)) {
        return NULL;
    }
    PyErr_Clear();
    Py_INCREF(head);
    PyBytes_Concat(&head, tail);
    PyObject *signals = head == NULL ? NULL : reader_read(self, head);
    Py_XDECREF(head);
    return signals;
}

static PyObject *
reader_read_tailed(SignalReader *self, PyObject *args)
{
    PyObject *head, *tail;
    if (!PyArg_ParseTuple(args, "SS:read_tailed", &head, &tail)) {
        return NULL;
    }
    const unsigned char *data = (const unsigned char *)PyBytes_AS_STRING(head);
    size_t size = (size_t)PyBytes_GET_SIZE(head);
    Reader reader = {data, data + size, self->decoder, size, .tail = tail};
    PyObject *signals = read_frame(self, &reader);
    if (signals != NULL && reader.tail != NULL) {
        Py_CLEAR(signals);
    }
    return signals != NULL ? signals : read_joined(self, head, tail);
}

/* -- the type */

static int
set_home(Home *home, PyObject *given)
{
    home->node = PyObject_GetAttrString(given, "node");
    home->creation = home->node == NULL ? NULL : PyObject_GetAttrString(given, "creation");
    if (home->creation == NULL) {
        return -1;
    }
    if (!PyUnicode_Check(home->node) || !PyLong_Check(home->creation)) {
        PyErr_SetString(PyExc_TypeError, "a home is a node (str) and a creation (int)");
        return -1;
    }
    return 0;
}

static PyObject *
reader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"local", "peer", NULL};
    PyObject *local, *peer;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO:SignalReader", keywords, &local, &peer)) {
        return NULL;
    }
    SignalReader *self = (SignalReader *)type->tp_alloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    self->homes = PyTuple_Pack(2, local, peer);
    self->decoder = (Decoder *)PyObject_CallNoArgs((PyObject *)&DecoderType);
    if (self->homes == NULL || self->decoder == NULL || set_home(&self->local, local) < 0 ||
        set_home(&self->peer, peer) < 0) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
reader_dealloc(SignalReader *self)
{
    Py_XDECREF(self->decoder);
    Py_XDECREF(self->local.node);
    Py_XDECREF(self->local.creation);
    Py_XDECREF(self->peer.node);
    Py_XDECREF(self->peer.creation);
    Py_XDECREF(self->homes);
    Py_XDECREF(self->pure);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef reader_methods[] = {
    {"read", (PyCFunction)reader_read, METH_O, "The signals of one frame, in order. Raises DecodeError."},
    {"read_tailed", (PyCFunction)reader_read_tailed, METH_VARARGS, "As `read` of a body in two: see wire/bodies.py."},
    {NULL},
};

PyTypeObject SignalReaderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist._native.SignalReader",
    .tp_doc = "Reads frames: see wire/signal_arrays.py.",
    .tp_basicsize = sizeof(SignalReader),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = reader_new,
    .tp_dealloc = (destructor)reader_dealloc,
    .tp_methods = reader_methods,
};

int
signals_ready(void)
{
    str_signal = PyUnicode_InternFromString("signal");
    return str_signal == NULL ? -1 : PyType_Ready(&SignalReaderType);
}
