/* FrameBuilder: see core/frame_builder.py. */
#include "codec.h"

typedef struct {
    PyObject_HEAD
    PyObject *encode;
    PyObject *parts; /* a list of bytes */
    PyObject *run_target; /* the number that the run is for which has not ended, or NULL */
    Py_ssize_t run_at; /* the place of that run's head among the parts */
    size_t signals;
} FrameBuilder;

/* -- runs */

static int
write_target(FrameBuilder *self, Writer *writer)
{
    int done = PyLong_CheckExact(self->run_target) ? write_integer(writer, self->run_target) : 1;
    if (done <= 0) {
        return done;
    }
    PyObject *data = PyObject_CallOneArg(self->encode, self->run_target);
    if (data == NULL || !PyBytes_Check(data) || writer_need(writer, (size_t)PyBytes_GET_SIZE(data)) < 0) {
        Py_XDECREF(data);
        return refuse();
    }
    put(writer, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data));
    Py_DECREF(data);
    return 0;
}

static int
end_run(FrameBuilder *self)
{
    static const char run[] = {(char)0x93, 1};
    Writer writer;
    if (self->run_target == NULL) {
        return 0;
    }
    writer_begin(&writer);
    put(&writer, run, sizeof run);
    size_t count = (size_t)(PyList_GET_SIZE(self->parts) - self->run_at - 1);
    int done = write_target(self, &writer) < 0 ? -1 : write_array(&writer, count);
    PyObject *head = done < 0 ? NULL : writer_finish(&writer);
    Py_CLEAR(writer.grown);
    Py_CLEAR(self->run_target);
    return head == NULL ? -1 : PyList_SetItem(self->parts, self->run_at, head);
}

static int
begin_run(FrameBuilder *self, PyObject *number)
{
    if (end_run(self) < 0) {
        return -1;
    }
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0); /* until its head is known */
    self->run_at = PyList_GET_SIZE(self->parts);
    int done = nothing == NULL ? -1 : PyList_Append(self->parts, nothing);
    Py_XDECREF(nothing);
    if (done < 0) {
        return -1;
    }
    self->run_target = Py_NewRef(number);
    self->signals++;
    return 0;
}

/* 1 where the run is for another process, or there is none. */
static int
differs(PyObject *target, PyObject *number)
{
    return target == NULL ? 1 : target == number ? 0 : PyObject_RichCompareBool(target, number, Py_NE);
}

/* -- what Python calls */

static bool
is_data(PyObject *data)
{
    if (!PyBytes_CheckExact(data)) {
        PyErr_Format(PyExc_TypeError, "a frame is built of bytes, not of %R", data);
        return false;
    }
    return true;
}

static PyObject *
builder_message(FrameBuilder *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "message takes a number and data");
        return NULL;
    }
    int other = is_data(args[1]) ? differs(self->run_target, args[0]) : -1;
    if (other < 0 || (other && begin_run(self, args[0]) < 0) || PyList_Append(self->parts, args[1]) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
builder_signal(FrameBuilder *self, PyObject *data)
{
    if (!is_data(data) || end_run(self) < 0 || PyList_Append(self->parts, data) < 0) {
        return NULL;
    }
    self->signals++;
    Py_RETURN_NONE;
}

static size_t
size_of(PyObject *parts)
{
    size_t size = 0;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        size += (size_t)PyBytes_GET_SIZE(PyList_GET_ITEM(parts, i));
    }
    return size;
}

static void
join(PyObject *parts, char *at)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(parts); i++) {
        PyObject *part = PyList_GET_ITEM(parts, i);
        memcpy(at, PyBytes_AS_STRING(part), (size_t)PyBytes_GET_SIZE(part));
        at += PyBytes_GET_SIZE(part);
    }
}

/* The length, the head of the array of signals, and they themselves. */
static PyObject *
frame_of(PyObject *parts, size_t signals)
{
    Writer head;
    writer_begin(&head);
    head.at += 4;
    write_array(&head, signals); /* there is room */
    size_t size = (size_t)(head.at - head.small) + size_of(parts);
    if (size - 4 > UINT32_MAX) {
        PyErr_SetString(PyExc_OverflowError, "a frame has less than 2**32 bytes");
        return NULL;
    }
    store(head.small, size - 4, 4);
    PyObject *frame = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (frame != NULL) {
        memcpy(PyBytes_AS_STRING(frame), head.small, (size_t)(head.at - head.small));
        join(parts, PyBytes_AS_STRING(frame) + (head.at - head.small));
    }
    return frame;
}

static PyObject *
builder_finish(FrameBuilder *self, PyObject *Py_UNUSED(ignored))
{
    if (end_run(self) < 0) {
        return NULL;
    }
    if (self->signals == 0) {
        return PyBytes_FromStringAndSize(NULL, 0);
    }
    PyObject *frame = frame_of(self->parts, self->signals);
    if (frame == NULL || PyList_SetSlice(self->parts, 0, PyList_GET_SIZE(self->parts), NULL) < 0) {
        Py_XDECREF(frame);
        return NULL;
    }
    self->signals = 0;
    return frame;
}

/* -- the type */

static PyObject *
builder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"encode", NULL};
    PyObject *encode;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:FrameBuilder", keywords, &encode)) {
        return NULL;
    }
    FrameBuilder *self = (FrameBuilder *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->encode = Py_NewRef(encode);
        self->parts = PyList_New(0);
        if (self->parts == NULL) {
            Py_CLEAR(self);
        }
    }
    return (PyObject *)self;
}

static void
builder_dealloc(FrameBuilder *self)
{
    Py_XDECREF(self->encode);
    Py_XDECREF(self->parts);
    Py_XDECREF(self->run_target);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef builder_methods[] = {
    {"message", (PyCFunction)(void (*)(void))builder_message, METH_FASTCALL,
     "Add a message to the peer's process `number`."},
    {"signal", (PyCFunction)builder_signal, METH_O, "Add any other signal."},
    {"finish", (PyCFunction)builder_finish, METH_NOARGS, "The frame, or nothing if there is nothing in it."},
    {NULL},
};

PyTypeObject FrameBuilderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist._native.FrameBuilder",
    .tp_doc = "Builds frames: see core/frame_builder.py.",
    .tp_basicsize = sizeof(FrameBuilder),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = builder_new,
    .tp_dealloc = (destructor)builder_dealloc,
    .tp_methods = builder_methods,
};
