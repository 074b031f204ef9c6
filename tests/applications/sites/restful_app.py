"""A list of things to do, as in Flask-RESTful's documentation, for PasteDeploy."""

from flask import Flask
from flask_restful import Api, Resource, abort, reqparse


class NotYoursError(Exception):
    """An error that is answered below 500."""


ERRORS = {"NotYoursError": {"message": "not yours", "status": 401}}


def make_app(global_conf, **local_conf):
    app = Flask(__name__)
    api = Api(app, errors=ERRORS)
    things = {"todo1": {"task": "build an API"}}
    parser = reqparse.RequestParser()
    parser.add_argument("task", required=True, location="form")

    class Thing(Resource):
        def get(self, thing_id):
            if thing_id not in things:
                abort(404, message=f"there is no {thing_id}")
            return things[thing_id]

    class Things(Resource):
        def get(self):
            return things

        def post(self):
            name = f"todo{len(things) + 1}"
            things[name] = {"task": parser.parse_args()["task"]}
            return things[name], 201

    class Boom(Resource):
        def get(self):
            raise ValueError("boom")

    class NotYours(Resource):
        def get(self):
            raise NotYoursError("not yours")

    api.add_resource(Things, "/todos")
    api.add_resource(Thing, "/todos/<thing_id>")
    api.add_resource(Boom, "/boom")
    api.add_resource(NotYours, "/notyours")
    return app
