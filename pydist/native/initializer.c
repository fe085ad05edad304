/* Initializer: the `__init__` of a Message class whose fields are plain, as message.py decides it. It sets the fields where
 * attrs' own, for a frozen class, must go around `__setattr__` in Python. Whatever is not the ordinary case, keywords or a
 * wrong number of arguments, goes to attrs' own. */
#include "codec.h"

typedef struct {
    PyObject_HEAD
    PyObject *wrapped;  /* attrs' own */
    PyObject *names;    /* a tuple of str */
    PyObject *defaults; /* a tuple: the values of the last fields */
    vectorcallfunc call;
} Initializer;

bool
initializer_takes(PyObject *initializer, Py_ssize_t given)
{
    Initializer *self = (Initializer *)initializer;
    Py_ssize_t fields = PyTuple_GET_SIZE(self->names);
    return given <= fields && given >= fields - PyTuple_GET_SIZE(self->defaults);
}

int
initializer_fill(PyObject *initializer, PyObject *instance, PyObject *const *values, Py_ssize_t given)
{
    Initializer *self = (Initializer *)initializer;
    Py_ssize_t fields = PyTuple_GET_SIZE(self->names), required = fields - PyTuple_GET_SIZE(self->defaults);
    for (Py_ssize_t i = 0; i < fields; i++) {
        PyObject *value = i < given ? values[i] : PyTuple_GET_ITEM(self->defaults, i - required);
        if (PyObject_GenericSetAttr(instance, PyTuple_GET_ITEM(self->names, i), value) < 0) {
            return -1;
        }
    }
    return 0;
}

static PyObject *
initializer_call(PyObject *self, PyObject *const *args, size_t nargsf, PyObject *kwnames)
{
    Py_ssize_t given = PyVectorcall_NARGS(nargsf) - 1;
    if (kwnames != NULL || !initializer_takes(self, given)) {
        return PyObject_Vectorcall(((Initializer *)self)->wrapped, args, nargsf, kwnames);
    }
    if (initializer_fill(self, args[0], args + 1, given) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
initializer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *wrapped, *names, *defaults;
    static char *keywords[] = {"wrapped", "names", "defaults", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO!O!", keywords, &wrapped, &PyTuple_Type, &names, &PyTuple_Type,
                                     &defaults)) {
        return NULL;
    }
    Initializer *self = (Initializer *)type->tp_alloc(type, 0);
    if (self != NULL) {
        self->wrapped = Py_NewRef(wrapped);
        self->names = Py_NewRef(names);
        self->defaults = Py_NewRef(defaults);
        self->call = initializer_call;
    }
    return (PyObject *)self;
}

static int
initializer_traverse(Initializer *self, visitproc visit, void *arg)
{
    Py_VISIT(self->wrapped);
    Py_VISIT(self->names);
    Py_VISIT(self->defaults);
    return 0;
}

static int
initializer_clear(Initializer *self)
{
    Py_CLEAR(self->wrapped);
    Py_CLEAR(self->names);
    Py_CLEAR(self->defaults);
    return 0;
}

static void
initializer_dealloc(Initializer *self)
{
    PyObject_GC_UnTrack(self);
    initializer_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
initializer_bind(PyObject *self, PyObject *instance, PyObject *Py_UNUSED(type))
{
    return instance == NULL || instance == Py_None ? Py_NewRef(self) : PyMethod_New(self, instance);
}

static PyMemberDef initializer_members[] = {
    {"__wrapped__", T_OBJECT, offsetof(Initializer, wrapped), READONLY, "The `__init__` that attrs has made."},
    {NULL},
};

PyTypeObject InitializerType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist._native.Initializer",
    .tp_doc = "The __init__ of a Message class: see initializer.c.",
    .tp_basicsize = sizeof(Initializer),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR |
                Py_TPFLAGS_IMMUTABLETYPE,
    .tp_vectorcall_offset = offsetof(Initializer, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = initializer_new,
    .tp_dealloc = (destructor)initializer_dealloc,
    .tp_traverse = (traverseproc)initializer_traverse,
    .tp_clear = (inquiry)initializer_clear,
    .tp_descr_get = initializer_bind,
    .tp_members = initializer_members,
};
