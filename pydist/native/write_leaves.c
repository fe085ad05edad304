/* Leaves: numbers, atoms, identifiers, extensions. */
#include "codec.h"

static PyObject *str_name, *str_pid, *str_ref;

int
write_number(Writer *writer, int head, uint64_t value, int size)
{
    if (writer_need(writer, 9) < 0) {
        return -1;
    }
    *writer->at = (unsigned char)head;
    store(writer->at + 1, value, size);
    writer->at += 1 + size;
    return 0;
}

static int
write_unsigned(Writer *writer, uint64_t value)
{
    if (value < 0x80) {
        return write_number(writer, (int)value, 0, 0);
    }
    int wide = value <= UINT8_MAX ? 0 : value <= UINT16_MAX ? 1 : value <= UINT32_MAX ? 2 : 3;
    return write_number(writer, 0xCC + wide, value, 1 << wide);
}

static int
write_negative(Writer *writer, int64_t value)
{
    if (value >= -32) {
        return write_number(writer, (int)(value & 0xFF), 0, 0);
    }
    int wide = value >= INT8_MIN ? 0 : value >= INT16_MIN ? 1 : value >= INT32_MIN ? 2 : 3;
    return write_number(writer, 0xD0 + wide, (uint64_t)value, 1 << wide);
}

/* 1 for what 64 bits can't hold. */
int
write_integer(Writer *writer, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow == 0) {
        return number < 0 ? write_negative(writer, number) : write_unsigned(writer, (uint64_t)number);
    }
    if (overflow < 0) {
        return 1;
    }
    unsigned long long large = PyLong_AsUnsignedLongLong(value);
    if (large == (unsigned long long)-1 && PyErr_Occurred()) {
        PyErr_Clear();
        return 1;
    }
    return write_unsigned(writer, large);
}

int
write_float(Writer *writer, double value)
{
    if (writer_need(writer, 9) < 0) {
        return -1;
    }
    *writer->at = 0xCB;
    if (PyFloat_Pack8(value, (char *)writer->at + 1, 0) < 0) {
        return -1;
    }
    writer->at += 9;
    return 0;
}

int
write_memory(Writer *writer, PyObject *value)
{
    Py_buffer view;
    if (PyObject_GetBuffer(value, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    int done = write_bytes(writer, view.buf, view.len);
    PyBuffer_Release(&view);
    return done;
}

int
write_atom(Writer *writer, PyObject *atom)
{
    PyObject *name = PyObject_GetAttr(atom, str_name);
    if (name == NULL) {
        return -1;
    }
    Py_ssize_t size;
    const char *data = PyUnicode_CheckExact(name) ? PyUnicode_AsUTF8AndSize(name, &size) : NULL;
    int done = data == NULL ? refuse() : write_extension(writer, ATOM, (size_t)size);
    if (done == 0 && (done = writer_need(writer, (size_t)size)) == 0) {
        memcpy(writer->at, data, (size_t)size);
        writer->at += size;
    }
    Py_DECREF(name);
    return done;
}

/* -- identifiers */

/* What crosses of a pid or ref. The text is the node's own. */
typedef struct {
    uint64_t number;
    uint32_t creation;
    const char *node;
    size_t size;
} Parts;

static int
parts_of(PyObject *object, Parts *parts)
{
    Identifier *id = (Identifier *)object;
    Py_ssize_t size;
    if (!PyUnicode_CheckExact(id->node) || (parts->node = PyUnicode_AsUTF8AndSize(id->node, &size)) == NULL) {
        return refuse();
    }
    unsigned long long creation = PyLong_AsUnsignedLongLong(id->creation);
    parts->number = PyLong_AsUnsignedLongLong(id->number);
    if (creation > UINT32_MAX || PyErr_Occurred()) {
        return refuse();
    }
    parts->creation = (uint32_t)creation;
    parts->size = (size_t)size;
    return 0;
}

static void
put_id(Writer *writer, const Parts *parts)
{
    store(writer->at, parts->number, 8);
    store(writer->at + 8, parts->creation, 4);
    writer->at += 12;
}

int
write_identifier(Writer *writer, int code, PyObject *value)
{
    Parts parts;
    if (parts_of(value, &parts) < 0 || write_extension(writer, code, 12 + parts.size) < 0 ||
        writer_need(writer, 12 + parts.size) < 0) {
        return -1;
    }
    put_id(writer, &parts);
    put(writer, parts.node, parts.size);
    return 0;
}

static int
write_both(Writer *writer, PyObject *pid, PyObject *ref)
{
    Parts of_pid, of_ref;
    if (!Py_IS_TYPE(pid, &PidType) || !Py_IS_TYPE(ref, &RefType) || parts_of(pid, &of_pid) < 0 ||
        parts_of(ref, &of_ref) < 0 || of_pid.size > UINT8_MAX) {
        return refuse();
    }
    if (of_pid.size == of_ref.size && memcmp(of_pid.node, of_ref.node, of_pid.size) == 0) {
        of_ref.size = 0;
    }
    size_t size = 25 + of_pid.size + of_ref.size;
    if (write_extension(writer, ALIAS, size) < 0 || writer_need(writer, size) < 0) {
        return -1;
    }
    put_id(writer, &of_pid);
    put_id(writer, &of_ref);
    *writer->at++ = (unsigned char)of_pid.size;
    put(writer, of_pid.node, of_pid.size);
    put(writer, of_ref.node, of_ref.size);
    return 0;
}

int
write_alias(Writer *writer, PyObject *alias)
{
    PyObject *pid = PyObject_GetAttr(alias, str_pid), *ref = PyObject_GetAttr(alias, str_ref);
    int done = pid == NULL || ref == NULL ? -1 : write_both(writer, pid, ref);
    Py_XDECREF(pid);
    Py_XDECREF(ref);
    return done;
}

/* `code` and `data` are what the constructor of an ExtType lets through, unless somebody went around it. */
int
write_ext_type(Writer *writer, PyObject *value)
{
    PyObject *data = PyTuple_GET_SIZE(value) == 2 ? PyTuple_GET_ITEM(value, 1) : NULL;
    if (data == NULL || !PyBytes_CheckExact(data) || !PyLong_CheckExact(PyTuple_GET_ITEM(value, 0))) {
        return refuse();
    }
    long code = PyLong_AsLong(PyTuple_GET_ITEM(value, 0));
    size_t size = (size_t)PyBytes_GET_SIZE(data);
    if (code < 0 || code > 127 || write_extension(writer, (int)code, size) < 0 || writer_need(writer, size) < 0) {
        return refuse();
    }
    put(writer, PyBytes_AS_STRING(data), size);
    return 0;
}

int
leaves_ready(void)
{
    str_name = PyUnicode_InternFromString("name");
    str_pid = PyUnicode_InternFromString("pid");
    str_ref = PyUnicode_InternFromString("ref");
    return str_name == NULL || str_pid == NULL || str_ref == NULL ? -1 : 0;
}
