from django.urls import path

from investigations import views

app_name = "investigations"

urlpatterns = [
    path("", views.listed, name="list"),
    path("<int:number>", views.detail, name="detail"),
]
