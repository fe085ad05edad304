/* Assembly: see wire/assembly.py. */
#include "codec.h"

enum { RESERVED = 2 * 1024 * 1024 };

typedef struct {
    PyObject_HEAD
    PyObject *data; /* bytes with more room than has come, or NULL before the first piece and after `whole` */
    Py_ssize_t size;
    Py_ssize_t missing;
} Assembly;

/* The system gives memory where it is touched, so room costs little; but a size that is only announced gets none. */
static int
make_room(Assembly *self, Py_ssize_t needed)
{
    Py_ssize_t there = self->data == NULL ? 0 : PyBytes_GET_SIZE(self->data);
    if (self->data != NULL && needed <= there) {
        return 0;
    }
    Py_ssize_t room = needed > self->size / 2 ? self->size : 2 * needed;
    if (room < RESERVED) {
        room = self->size < RESERVED ? self->size : RESERVED;
    }
    if (self->data == NULL) {
        self->data = PyBytes_FromStringAndSize(NULL, room);
        return self->data == NULL ? -1 : 0;
    }
    return _PyBytes_Resize(&self->data, room);
}

static PyObject *
assembly_add(Assembly *self, PyObject *piece)
{
    Py_buffer view;
    if (PyObject_GetBuffer(piece, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    Py_ssize_t there = self->size - self->missing;
    int done = -1;
    if (view.len > self->missing) {
        PyErr_Format(PyExc_ValueError, "%zd bytes more make more than %zd", view.len, self->size);
    }
    else if ((done = make_room(self, there + view.len)) == 0) {
        memcpy(PyBytes_AS_STRING(self->data) + there, view.buf, (size_t)view.len);
        self->missing -= view.len;
    }
    PyBuffer_Release(&view);
    return done < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *
assembly_whole(Assembly *self, PyObject *Py_UNUSED(ignored))
{
    if (self->missing > 0) {
        return PyErr_Format(PyExc_ValueError, "%zd of %zd bytes are missing", self->missing, self->size);
    }
    PyObject *data = self->data;
    self->data = NULL;
    return data != NULL ? data : PyBytes_FromStringAndSize(NULL, 0);
}

static PyObject *
assembly_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"size", NULL};
    Py_ssize_t size;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:Assembly", keywords, &size)) {
        return NULL;
    }
    Assembly *self = (Assembly *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->size = self->missing = size;
    }
    return (PyObject *)self;
}

static void
assembly_dealloc(Assembly *self)
{
    Py_XDECREF(self->data);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
assembly_room(Assembly *self, void *Py_UNUSED(closure))
{
    return PyLong_FromSsize_t(self->data == NULL ? 0 : PyBytes_GET_SIZE(self->data));
}

static PyGetSetDef assembly_properties[] = {
    {"room", (getter)assembly_room, NULL, "Bytes for which there is memory.", NULL},
    {NULL},
};

static PyMethodDef assembly_methods[] = {
    {"add", (PyCFunction)assembly_add, METH_O, "The next bytes are here. Raises ValueError."},
    {"whole", (PyCFunction)assembly_whole, METH_NOARGS, "All bytes. To be called once. Raises ValueError."},
    {NULL},
};

static PyMemberDef assembly_members[] = {
    {"size", T_PYSSIZET, offsetof(Assembly, size), READONLY, "How many bytes are to come."},
    {"missing", T_PYSSIZET, offsetof(Assembly, missing), READONLY, "So many are still to come."},
    {NULL},
};

PyTypeObject AssemblyType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist._native.Assembly",
    .tp_doc = "Bytes that come in pieces: see wire/assembly.py.",
    .tp_basicsize = sizeof(Assembly),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = assembly_new,
    .tp_dealloc = (destructor)assembly_dealloc,
    .tp_methods = assembly_methods,
    .tp_members = assembly_members,
    .tp_getset = assembly_properties,
};
