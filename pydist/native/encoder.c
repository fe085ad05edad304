/* Encoder: see wire/codec.py. A value that this has no answer to is encoded by the Python twin, or refused by it. */
#include "codec.h"

typedef struct {
    PyObject_HEAD
    PyObject *layouts; /* a dict: message class to `(head, names)`, as `layout_of` gives it */
    PyObject *pure;    /* the Python twin, or NULL until it is needed */
} Encoder;

static PyObject *str_encode, *str_stand_in, *str_data, *str_fieldvalues;

static int encode(Encoder *self, Writer *writer, PyObject *value, int room);

static PyObject *
pure_of(Encoder *self)
{
    if (self->pure == NULL) {
        self->pure = PyObject_CallNoArgs(pure_encoder);
    }
    return self->pure;
}

/* -- collections. A finaliser may run wherever something is made or let go, and change what is being written: so each item
 * is held, and the size is looked at again. */

static int
encode_item(Encoder *self, Writer *writer, PyObject *item, int room)
{
    Py_INCREF(item);
    int done = encode(self, writer, item, room - 1);
    Py_DECREF(item);
    return done;
}

static int
encode_list(Encoder *self, Writer *writer, PyObject *list, int room)
{
    Py_ssize_t count = PyList_GET_SIZE(list);
    if (room < 1 || write_array(writer, (size_t)count) < 0) {
        return refuse();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (i >= PyList_GET_SIZE(list) || encode_item(self, writer, PyList_GET_ITEM(list, i), room) < 0) {
            return refuse();
        }
    }
    return PyList_GET_SIZE(list) == count ? 0 : refuse();
}

static int
encode_tuple(Encoder *self, Writer *writer, PyObject *tuple, int room)
{
    Py_ssize_t count = PyTuple_GET_SIZE(tuple);
    if (room < 1 || write_array(writer, (size_t)count + 1) < 0 || write_extension(writer, TUPLE, 0) < 0) {
        return refuse();
    }
    for (Py_ssize_t i = 0; i < count; i++) {
        if (encode(self, writer, PyTuple_GET_ITEM(tuple, i), room - 1) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
encode_dict(Encoder *self, Writer *writer, PyObject *dict, int room)
{
    Py_ssize_t count = PyDict_GET_SIZE(dict), written = 0, position = 0;
    PyObject *key, *item;
    writer->containers++;
    if (room < 1 || write_sized(writer, 0xDE, 0x80, (size_t)count, 16) < 0) {
        return refuse();
    }
    while (PyDict_GET_SIZE(dict) == count && PyDict_Next(dict, &position, &key, &item)) {
        Py_INCREF(item);
        int done = encode_item(self, writer, key, room);
        done = done < 0 ? done : encode(self, writer, item, room - 1);
        Py_DECREF(item);
        if (done < 0 || ++written > count) {
            return refuse();
        }
    }
    return written == count && PyDict_GET_SIZE(dict) == count ? 0 : refuse();
}

/* -- messages */

/* A borrowed reference; NULL without an exception for what is no message class. */
static PyObject *
layout(Encoder *self, PyTypeObject *kind)
{
    PyObject *known = PyDict_GetItemWithError(self->layouts, (PyObject *)kind);
    if (known != NULL || PyErr_Occurred()) {
        return known;
    }
    PyObject *made = PyObject_CallOneArg(layout_of, (PyObject *)kind);
    if (made == NULL) {
        return NULL;
    }
    bool message = made != Py_None && PyDict_SetItem(self->layouts, (PyObject *)kind, made) == 0;
    Py_DECREF(made); /* the dict has it */
    return message ? made : NULL;
}

static int
encode_fields(Encoder *self, Writer *writer, PyObject *message, PyObject *names, int room)
{
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(names); i++) {
        PyObject *field = PyObject_GetAttr(message, PyTuple_GET_ITEM(names, i));
        if (field == NULL) {
            return -1;
        }
        int done = encode(self, writer, field, room - 1);
        Py_DECREF(field);
        if (done < 0) {
            return -1;
        }
    }
    return 0;
}

static int
write_message_head(Writer *writer, PyObject *head, Py_ssize_t fields)
{
    size_t size = (size_t)PyBytes_GET_SIZE(head);
    if (write_array(writer, (size_t)fields + 1) < 0 || write_extension(writer, MESSAGE, size) < 0 ||
        writer_need(writer, size) < 0) {
        return -1;
    }
    put(writer, PyBytes_AS_STRING(head), size);
    return 0;
}

/* A message that says itself what goes on the wire. */
static int
encode_told(Encoder *self, Writer *writer, PyObject *message, PyObject *head, int room)
{
    PyObject *told = PyObject_CallMethodNoArgs(message, str_fieldvalues);
    PyObject *values = told == NULL ? NULL : PySequence_Tuple(told);
    Py_XDECREF(told);
    if (values == NULL) {
        return -1;
    }
    int done = write_message_head(writer, head, PyTuple_GET_SIZE(values));
    for (Py_ssize_t i = 0; done == 0 && i < PyTuple_GET_SIZE(values); i++) {
        done = encode(self, writer, PyTuple_GET_ITEM(values, i), room - 1);
    }
    Py_DECREF(values);
    return done;
}

static int
encode_message(Encoder *self, Writer *writer, PyObject *message, PyObject *layout, int room)
{
    PyObject *head = PyTuple_GET_ITEM(layout, 0), *names = PyTuple_GET_ITEM(layout, 1);
    if (room < 1) {
        return refuse();
    }
    if (names == Py_None) {
        return encode_told(self, writer, message, head, room);
    }
    int done = write_message_head(writer, head, PyTuple_GET_SIZE(names));
    return done < 0 ? -1 : encode_fields(self, writer, message, names, room);
}

/* What the Python twin gives msgpack in place of the value: an array that begins with a head, or an extension. */
static int
encode_stand_in(Encoder *self, Writer *writer, PyObject *value, int room)
{
    PyObject *pure = pure_of(self);
    PyObject *other = pure == NULL ? NULL : PyObject_CallMethodOneArg(pure, str_stand_in, value);
    if (other == NULL) {
        return -1;
    }
    int done = PyList_CheckExact(other) ? encode_list(self, writer, other, room) : write_ext_type(writer, other);
    Py_DECREF(other);
    return done;
}

static int
encode_rare(Encoder *self, Writer *writer, PyObject *value, int room)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (kind == &PyByteArray_Type) {
        return write_bytes(writer, PyByteArray_AS_STRING(value), PyByteArray_GET_SIZE(value));
    }
    if (kind == &PyMemoryView_Type) {
        return write_memory(writer, value);
    }
    if ((PyObject *)kind == extension_class) {
        return write_ext_type(writer, value);
    }
    PyObject *known = layout(self, kind);
    if (known != NULL) {
        return encode_message(self, writer, value, known, room);
    }
    return PyErr_Occurred() ? -1 : encode_stand_in(self, writer, value, room);
}

static int
encode_identity(Encoder *self, Writer *writer, PyObject *value, int room)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (kind == &PidType) {
        return write_identifier(writer, PID, value);
    }
    if (kind == &RefType) {
        return write_identifier(writer, REF, value);
    }
    if ((PyObject *)kind == alias_class) {
        return write_alias(writer, value);
    }
    return (PyObject *)kind == atom_class ? write_atom(writer, value) : encode_rare(self, writer, value, room);
}

static int
encode_constant(Writer *writer, PyObject *value)
{
    return write_number(writer, value == Py_None ? 0xC0 : value == Py_True ? 0xC3 : 0xC2, 0, 0);
}

static int
encode(Encoder *self, Writer *writer, PyObject *value, int room)
{
    PyTypeObject *kind = Py_TYPE(value);
    if (room < 0) {
        return refuse();
    }
    if (kind == &PyLong_Type) {
        int done = write_integer(writer, value);
        return done == 1 ? encode_stand_in(self, writer, value, room) : done;
    }
    if (kind == &PyUnicode_Type) {
        return write_text(writer, value);
    }
    if (kind == &PyTuple_Type) {
        return encode_tuple(self, writer, value, room);
    }
    if (kind == &PyBytes_Type) {
        return write_bytes(writer, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value));
    }
    if (kind == &PyDict_Type) {
        return encode_dict(self, writer, value, room);
    }
    if (kind == &PyList_Type) {
        return encode_list(self, writer, value, room);
    }
    if (kind == &PyFloat_Type) {
        return write_float(writer, PyFloat_AS_DOUBLE(value));
    }
    if (value == Py_None || kind == &PyBool_Type) {
        return encode_constant(writer, value);
    }
    return encode_identity(self, writer, value, room);
}

/* -- the type */

static bool
is_packed_too_densely(const Writer *writer)
{
    const unsigned char *start =
        writer->grown == NULL ? writer->small : (const unsigned char *)PyBytes_AS_STRING(writer->grown);
    return writer->containers > most_containers((size_t)(writer->at - start));
}

static PyObject *
encode_slowly(Encoder *self, PyObject *value)
{
    if ((PyObject *)Py_TYPE(value) == encoded_class) {
        return PyObject_GetAttr(value, str_data);
    }
    PyObject *pure = pure_of(self);
    return pure == NULL ? NULL : PyObject_CallMethodOneArg(pure, str_encode, value);
}

static PyObject *
encoder_encode(Encoder *self, PyObject *value)
{
    Writer writer;
    writer_begin(&writer);
    if (encode(self, &writer, value, DEEPEST) == 0 && !is_packed_too_densely(&writer)) {
        return writer_finish(&writer);
    }
    Py_CLEAR(writer.grown);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL; /* ^C, say, while a message told what it is */
        }
        PyErr_Clear();
    }
    return encode_slowly(self, value);
}

/* The array of a signal up to its term. */
static int
begin_signal(Encoder *self, Writer *writer, PyObject *fields)
{
    writer_begin(writer);
    int done = write_array(writer, (size_t)PyTuple_GET_SIZE(fields) + 1);
    for (Py_ssize_t i = 0; done == 0 && i < PyTuple_GET_SIZE(fields); i++) {
        done = encode(self, writer, PyTuple_GET_ITEM(fields, i), 0);
    }
    return done;
}

/* Behind the fields, the term that was not encoded here. */
static PyObject *
signal_slowly(Encoder *self, PyObject *fields, PyObject *term)
{
    PyObject *data = encode_slowly(self, term);
    Writer writer;
    if (data == NULL || begin_signal(self, &writer, fields) < 0 ||
        writer_need(&writer, (size_t)PyBytes_GET_SIZE(data)) < 0) {
        Py_XDECREF(data);
        return NULL;
    }
    put(&writer, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data));
    Py_DECREF(data);
    return writer_finish(&writer);
}

static PyObject *
encoder_signal(Encoder *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2 || !PyTuple_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "signal takes a tuple of fields and a term");
        return NULL;
    }
    Writer writer;
    if (begin_signal(self, &writer, args[0]) < 0) {
        Py_CLEAR(writer.grown);
        return NULL;
    }
    if (encode(self, &writer, args[1], DEEPEST) == 0 && !is_packed_too_densely(&writer)) {
        return writer_finish(&writer);
    }
    Py_CLEAR(writer.grown);
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
    }
    return signal_slowly(self, args[0], args[1]);
}

static PyObject *
encoder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    if (!PyArg_ParseTuple(args, ":Encoder") || (kwargs != NULL && PyDict_GET_SIZE(kwargs) > 0)) {
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_TypeError, "Encoder takes no arguments");
    }
    Encoder *self = (Encoder *)type->tp_alloc(type, 0);
    if (self != NULL && (self->layouts = PyDict_New()) == NULL) {
        Py_CLEAR(self);
    }
    return (PyObject *)self;
}

static void
encoder_dealloc(Encoder *self)
{
    Py_XDECREF(self->layouts);
    Py_XDECREF(self->pure);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef encoder_methods[] = {
    {"encode", (PyCFunction)encoder_encode, METH_O, "The bytes of a value. Raises EncodeError."},
    {"signal", (PyCFunction)(void (*)(void))encoder_signal, METH_FASTCALL,
     "The bytes of an array of fields and a term. Raises EncodeError."},
    {NULL},
};

PyTypeObject EncoderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist._native.Encoder",
    .tp_doc = "Encodes terms: see wire/codec.py.",
    .tp_basicsize = sizeof(Encoder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = encoder_new,
    .tp_dealloc = (destructor)encoder_dealloc,
    .tp_methods = encoder_methods,
};

int
encoder_ready(void)
{
    str_encode = PyUnicode_InternFromString("encode");
    str_stand_in = PyUnicode_InternFromString("stand_in");
    str_data = PyUnicode_InternFromString("data");
    str_fieldvalues = PyUnicode_InternFromString("__fieldvalues__");
    if (str_encode == NULL || str_stand_in == NULL || str_data == NULL || str_fieldvalues == NULL) {
        return -1;
    }
    return leaves_ready() < 0 ? -1 : PyType_Ready(&EncoderType);
}
