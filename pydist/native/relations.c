/* RelationTables: see core/relations.py. Three dictionaries that are made when first looked at, since most processes
 * have one of them at most. */
#include "native.h"

static int
relations_traverse(RelationTables *self, visitproc visit, void *arg)
{
    Py_VISIT(self->links);
    Py_VISIT(self->monitors);
    Py_VISIT(self->watchers);
    return 0;
}

static int
relations_clear(RelationTables *self)
{
    Py_CLEAR(self->links);
    Py_CLEAR(self->monitors);
    Py_CLEAR(self->watchers);
    return 0;
}

static void
relations_dealloc(RelationTables *self)
{
    PyObject_GC_UnTrack(self);
    relations_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *
relations_get(RelationTables *self, void *offset)
{
    PyObject **table = (PyObject **)((char *)self + (size_t)offset);
    if (*table == NULL) {
        *table = PyDict_New();
    }
    return Py_XNewRef(*table);
}

#define TABLE(name) {#name, (getter)relations_get, NULL, NULL, (void *)offsetof(RelationTables, name)}

static PyGetSetDef relations_getset[] = {TABLE(links), TABLE(monitors), TABLE(watchers), {NULL}};

static PyMemberDef relations_members[] = {
    {"_last_unlink", T_LONGLONG, offsetof(RelationTables, last_unlink), 0, NULL},
    {NULL},
};

PyTypeObject RelationTablesType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "pydist.core.relations.RelationTables",
    .tp_doc = "Links, monitors and watchers: see the class in core/relations.py.",
    .tp_basicsize = sizeof(RelationTables),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    .tp_new = PyType_GenericNew,
    .tp_dealloc = (destructor)relations_dealloc,
    .tp_traverse = (traverseproc)relations_traverse,
    .tp_clear = (inquiry)relations_clear,
    .tp_members = relations_members,
    .tp_getset = relations_getset,
};
