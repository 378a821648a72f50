from django.urls import path

from actioncenter.guide import views

app_name = "guide"
urlpatterns = [
    path("help/", views.index, name="index"),
    path("help/<path:name>", views.document, name="document"),
    path("tour/<int:number>", views.tour, name="tour"),
    path("tour/end", views.end, name="end_tour"),
]
